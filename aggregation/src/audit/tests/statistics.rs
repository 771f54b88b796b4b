//! What is public of an audit is uniform, or tells nothing of the update.

use super::*;
use crate::audit::proof::Proof;
use crate::sum::modulus::PRIMES;

/// Proofs of a very short and of the longest update, many salts each: the masked range rows have
/// one law. Both are uniform in [-(A - B), A - B], so mean and mean square are known, and the two
/// samples' largest distance of distributions stays below the 10^-4 quantile (Kolmogorov, Smirnov).
#[test]
fn masked_range_rows_are_uniform_whatever_the_update() {
    let world = World::new(CommitteeShape::Four, 3_000);
    let question = world.question();
    let bound = (question.terms().mask_max - question.terms().spread) as f64;
    let sample = |scale| {
        let client = world.client(0, &full(&world.config, 1, scale));
        let proof = |salt| {
            let entropy = Zeroizing::new([salt; 32]);
            Proof::new(&question, &client.id(), &client.witness, &entropy).expect("a proof")
        };
        let rows = (0..60).flat_map(|salt| proof(salt).range);
        let mut rows: Vec<f64> = rows.map(|z| z as f64 / bound).collect();
        rows.sort_unstable_by(f64::total_cmp);
        rows
    };
    let samples = [sample(0.0), sample(1.0)];
    let n = samples[0].len() as f64;
    for sample in &samples {
        let mean = sample.iter().sum::<f64>() / n;
        let square = sample.iter().map(|z| z * z).sum::<f64>() / n;
        assert!(mean.abs() < 5.0 / (3.0 * n).sqrt(), "{mean}");
        assert!((square - 1.0 / 3.0).abs() < 5.0 * (4.0 / 45.0 / n).sqrt(), "{square}");
    }
    let below = |sample: &[f64], z: f64| sample.partition_point(|x| *x <= z) as f64 / n;
    let distance = |z: &f64| (below(&samples[0], *z) - below(&samples[1], *z)).abs();
    let largest = samples.iter().flatten().map(distance).fold(0.0, f64::max);
    assert!(largest < 2.23 * (2.0 / n).sqrt(), "{largest}");
}

/// Values of what is opened, of corrections and of components, over many proofs of one extreme
/// update: spread evenly over both fields (chi-square of 16 classes below its 10^-6 quantile).
#[test]
fn everything_opened_is_uniform() {
    let world = World::new(CommitteeShape::Four, 3_000);
    let checked = Checked::new(world.question(), 3);
    let client = world.client(0, &full(&world.config, 1, 1.0));
    let seeds = world.seeds(&client);
    let mut groups: [Vec<Element>; 4] = Default::default();
    for salt in 0..12 {
        let entropy = Zeroizing::new([salt; 32]);
        let proof = Proof::new(&checked.question, &client.id(), &client.witness, &entropy);
        let proof = proof.expect("a proof");
        let about = (&client.id(), &proof);
        let answers: Vec<_> = (seeds.iter())
            .map(|seeds| {
                Some(open(&checked.question, &checked.check, &checked.batch, about, seeds))
            })
            .collect();
        let parts = agree(checked.question.config.shape, &answers).expect("all answered").parts;
        groups[0].extend(&proof.entries);
        groups[1].extend(&proof.values);
        for part in &parts {
            groups[2].extend(&part.polynomials);
            groups[2].extend([part.value, part.relation]);
        }
        // What everybody can compute: f_r(t), the update's own in part.
        let forms = super::super::opening::Forms::new(
            &checked.question,
            &checked.check,
            &client.id(),
            &proof,
        );
        let public = client.public(&checked.question, &checked.batch);
        let mut total = forms.public(&proof, &public).polynomials;
        for part in &parts {
            total.iter_mut().zip(&part.polynomials).for_each(|(sum, &x)| *sum += x);
        }
        groups[3].extend(total);
    }
    for group in groups {
        assert!(group.len() > 300);
        for (l, prime) in PRIMES.into_iter().enumerate() {
            let mut classes = [0f64; 16];
            for element in &group {
                classes[(u128::from(element.0[l]) * 16 / u128::from(prime)) as usize] += 1.0;
            }
            let expected = group.len() as f64 / 16.0;
            let chi_square: f64 =
                classes.iter().map(|count| (count - expected).powi(2) / expected).sum();
            assert!(chi_square < 54.0, "{chi_square}");
        }
    }
}

use crate::audit::element::Element;

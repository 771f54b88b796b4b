//! `tfhe`'s own parts for the same work: its transform, its GLWE encryption.

use std::hint::black_box;

use covey_benches::{Figure, Report, Terms, median_ns};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tfhe::core_crypto::prelude::*;

/// The first prime of the secure sum's modulus.
const PRIME: u64 = (1 << 50) - (1 << 14) + 1;

pub(crate) fn measure(report: &Report, terms: &Terms) {
    transforms(report, terms);
    encryption(report, terms);
}

/// One inverse transform with `tfhe-ntt` itself, and the same plan through `tfhe`.
fn transforms(report: &Report, terms: &Terms) {
    let n = 4096;
    let plan = tfhe_ntt::prime64::Plan::try_new(n, PRIME).expect("a plan");
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let input: Vec<u64> = (0..n).map(|_| rng.random_range(0..PRIME)).collect();
    let mut direct = input.clone();
    let direct_ns = median_ns(500, || plan.inv(black_box(&mut direct)));
    let size = PolynomialSize(n);
    let modulus = CiphertextModulus::<u64>::new(u128::from(PRIME));
    let through = tfhe::core_crypto::commons::math::ntt::ntt64::Ntt64::new(modulus, size);
    let mut transformed = Polynomial::from_container(input);
    let mut standard = Polynomial::new(0u64, size);
    let through_ns = median_ns(500, || {
        standard.as_mut().fill(0);
        through.as_view().add_backward(standard.as_mut_view(), transformed.as_mut_view());
        black_box(&standard);
    });
    let per = |ns: f64| ns / n as f64;
    let terms = Terms { text: "N=4096, one prime, tfhe Ntt64".to_owned(), ..terms.clone() };
    let figure = Figure::new("ntt.inverse", &terms, per(through_ns), "ns/coefficient");
    report.figure(&figure.beside("tfhe-ntt Plan", per(direct_ns)));
}

/// Encryption with tfhe's own GLWE, as it comes.
fn encryption(report: &Report, terms: &Terms) {
    for n in [2048, 4096] {
        let (dimension, size) = (GlweDimension(1), PolynomialSize(n));
        let mut boxed = new_seeder();
        let seeder = boxed.as_mut();
        let mut secret = SecretRandomGenerator::<DefaultRandomGenerator>::new(seeder.seed());
        let mut generator =
            EncryptionRandomGenerator::<DefaultRandomGenerator>::new(seeder.seed(), seeder);
        let key: GlweSecretKeyOwned<u64> =
            allocate_and_generate_new_binary_glwe_secret_key(dimension, size, &mut secret);
        let noise = DynamicDistribution::new_t_uniform(if n == 2048 { 17 } else { 3 });
        let message = PlaintextList::new(1u64 << 40, PlaintextCount(n));
        let modulus = CiphertextModulus::new_native();
        let mut ciphertext = GlweCiphertext::new(0u64, dimension.to_glwe_size(), size, modulus);
        let ns = median_ns(12, || {
            encrypt_glwe_ciphertext(&key, &mut ciphertext, &message, noise, &mut generator);
            black_box(&ciphertext);
        });
        let terms = Terms { text: format!("tfhe GLWE, q=2^64, N={n}"), ..terms.clone() };
        report.figure(&Figure::new("naive.encrypt", &terms, ns / n as f64, "ns/coefficient"));
    }
}

//! What bad owners train on.

use covey_model::random::{stream, unit_f64};

use crate::column::columns;
use crate::source::Rows;

/// The same rows with labels drawn at random from `classes`.
pub(crate) fn random_labels(rows: &Rows, classes: &[u32], seed: u64) -> Rows {
    let mut rng = stream("demo-random-labels", &[&seed.to_le_bytes()]);
    let labels: Vec<u32> = (0..rows.len()).map(|_| one_of(classes, unit_f64(&mut rng))).collect();
    rows.relabelled(&labels)
}

/// `count` rows that look like `real` and say nothing: each number is drawn between the bounds of
/// the real ones, and each label from `classes`.
///
/// # Errors
/// What in the table is no number.
pub(crate) fn noise(real: &Rows, count: usize, classes: &[u32], seed: u64) -> Result<Rows, String> {
    let mut rng = stream("demo-noise", &[&seed.to_le_bytes()]);
    let mut draw = || unit_f64(&mut rng);
    let labels: Vec<u32> = (0..count).map(|_| one_of(classes, draw())).collect();
    match real {
        Rows::Images { height, width, pixels, .. } => {
            let levels: Vec<u8> = (0..=pixels.iter().copied().max().unwrap_or(0)).collect();
            let size = count * (*height * *width) as usize;
            let pixels = (0..size).map(|_| one_of(&levels, draw())).collect();
            let labels = labels.iter().map(|label| u8::try_from(*label).unwrap_or(0)).collect();
            Ok(Rows::Images { height: *height, width: *width, pixels, labels })
        }
        Rows::Table { header, lines, .. } => {
            let columns = columns(header, lines)?;
            let mut line = |label: &u32| {
                let fields = columns.iter().map(|column| {
                    if column.is_label() {
                        return label.to_string();
                    }
                    format!("{:?}", (column.high - column.low).mul_add(draw(), column.low))
                });
                fields.collect::<Vec<String>>().join(",")
            };
            let lines = labels.iter().map(&mut line).collect();
            Ok(Rows::Table { header: header.clone(), lines, labels })
        }
    }
}

/// The one that a draw in `0 < draw <= 1` falls on.
fn one_of<T: Copy>(all: &[T], draw: f64) -> T {
    let place = (draw * all.len() as f64).ceil() as usize;
    all[place.clamp(1, all.len()) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images() -> Rows {
        let pixels = (0..400).map(|i| (i * 7 % 17) as u8).collect();
        Rows::Images { height: 2, width: 2, pixels, labels: (0..100).map(|i| i % 3).collect() }
    }

    fn table() -> Rows {
        let lines = (0..90).map(|i| format!("{}.5,{},-2", i, i % 3)).collect();
        let labels = (0..90).map(|i| i % 3).collect();
        Rows::Table { header: "a, label,b".to_owned(), lines, labels }
    }

    fn lines(rows: &Rows) -> &[String] {
        let Rows::Table { lines, .. } = rows else { panic!("no table") };
        lines
    }

    #[test]
    fn random_labels_change_nothing_but_labels() {
        let forged = random_labels(&images(), &[0, 1, 2], 1);
        let (Rows::Images { pixels, .. }, Rows::Images { pixels: real, .. }) = (&forged, images())
        else {
            panic!("no images")
        };
        assert_eq!(*pixels, real);
        let kept = |(one, other): &(u32, u32)| one == other;
        let kept = forged.labels().into_iter().zip(images().labels()).filter(kept).count();
        assert!((15..60).contains(&kept), "{kept} of 100 labels are as they were");

        let forged = random_labels(&table(), &[0, 1, 2], 1);
        for (number, (line, label)) in lines(&forged).iter().zip(forged.labels()).enumerate() {
            assert_eq!(*line, format!("{number}.5,{label},-2"));
        }
        assert_ne!(forged.labels(), table().labels());
    }

    #[test]
    fn noise_is_within_the_bounds_of_the_real_rows() {
        let Rows::Images { pixels, labels, .. } =
            noise(&images(), 500, &[0, 1, 2], 1).expect("noise")
        else {
            panic!("no images")
        };
        assert_eq!((pixels.len(), labels.len()), (2000, 500));
        for level in 0..=16 {
            let count = pixels.iter().filter(|pixel| **pixel == level).count();
            assert!((70..180).contains(&count), "{count} pixels of {level}");
        }
        assert!(pixels.iter().all(|pixel| *pixel <= 16));

        let noise = noise(&table(), 40, &[0, 1, 2], 1).expect("noise");
        for (line, label) in lines(&noise).iter().zip(noise.labels()) {
            let fields: Vec<f64> = line.split(',').map(|x| x.parse().expect("a number")).collect();
            assert!((0.5..=89.5).contains(&fields[0]), "{line}");
            assert_eq!(fields[1..], [f64::from(label), -2.0]);
        }
    }
}

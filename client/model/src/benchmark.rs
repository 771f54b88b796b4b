//! A short reference benchmark, by which the time that devices take can be compared.

use std::time::{Duration, Instant};

use burn::tensor::{Tensor, TensorData};

use crate::device::Compute;
use crate::train::{FitError, guarded};

/// Rows and columns of the matrices: large enough to keep a card busy, and a processor for a moment.
const SIDE: usize = 512;

/// Products that are queued before the device is waited for.
const AT_ONCE: u32 = 8;

/// How long is measured: long against what the clock and the queue of a device take.
const LENGTH: Duration = Duration::from_millis(300);

impl Compute {
    /// What the device does of the reference benchmark, products of 512 by 512 matrices of f32, in
    /// millions of floating-point operations a second. Takes a third of a second.
    ///
    /// # Errors
    /// [`FitError::Fault`] of the numeric library.
    pub fn reference_mflops(&self) -> Result<u64, FitError> {
        guarded(|| {
            let one = vec![1.0 / SIDE as f32; SIDE * SIDE];
            let one = Tensor::<2>::from_data(TensorData::new(one, [SIDE, SIDE]), &self.device);
            // What is compiled or set up at the first product does not count.
            wait_for(products(&one));
            let (begun, mut rounds) = (Instant::now(), 0_u64);
            while begun.elapsed() < LENGTH {
                wait_for(products(&one));
                rounds += 1;
            }
            // A product and a sum for each of SIDE terms of each of SIDE^2 numbers.
            let flops = rounds * u64::from(AT_ONCE) * 2 * (SIDE as u64).pow(3);
            let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX).max(1);
            Ok(flops / micros)
        })
    }
}

/// Products one after the other, each of the one before; the numbers stay as they are.
fn products(one: &Tensor<2>) -> Tensor<2> {
    (0..AT_ONCE).fold(one.clone(), |product, _| product.matmul(one.clone()))
}

/// Waits until the device is done.
fn wait_for(numbers: Tensor<2>) {
    std::hint::black_box(numbers.into_data());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::DeviceChoice;

    #[test]
    fn the_processor_does_some_millions_of_operations_a_second() {
        let compute = Compute::resolve(DeviceChoice::Cpu).expect("there is one");
        let mflops = compute.reference_mflops().expect("it multiplies");
        assert!((10..100_000_000).contains(&mflops), "{mflops}");
    }
}

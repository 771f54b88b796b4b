//! SCAFFOLD's control variates of all clients: on disk, because there are as many numbers as
//! parameters of all clients together. The file has no name and is gone with the process.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

const NUMBER_BYTES: usize = 8;

/// For each client its variate, and the change that is added if it is counted.
pub(super) struct Variates {
    file: Mutex<File>,
    parameters: usize,
}

/// Which of a client's two vectors.
#[derive(Clone, Copy)]
enum Part {
    Own,
    Change,
}

impl Variates {
    /// Zeros for `clients` clients of a model of `parameters` parameters. Takes room on the disk
    /// only for clients that have taken part.
    pub(super) fn new(clients: usize, parameters: usize) -> io::Result<Self> {
        let file = tempfile::tempfile()?;
        file.set_len((2 * clients * parameters * NUMBER_BYTES) as u64)?;
        Ok(Self { file: Mutex::new(file), parameters })
    }

    /// The client's variate.
    pub(super) fn own(&self, client: usize) -> io::Result<Vec<f64>> {
        self.read(&mut self.lock(), client, Part::Own)
    }

    /// Keeps what a round changes if it is counted, in the place of any earlier change.
    pub(super) fn propose(&self, client: usize, change: &[f64]) -> io::Result<()> {
        self.write(&mut self.lock(), client, Part::Change, change)
    }

    /// The client was counted: the change is added.
    pub(super) fn counted(&self, client: usize) -> io::Result<()> {
        let mut file = self.lock();
        let mut own = self.read(&mut file, client, Part::Own)?;
        let change = self.read(&mut file, client, Part::Change)?;
        own.iter_mut().zip(&change).for_each(|(own, change)| *own += change);
        self.write(&mut file, client, Part::Own, &own)
    }

    fn read(&self, file: &mut File, client: usize, part: Part) -> io::Result<Vec<f64>> {
        let mut bytes = vec![0; self.parameters * NUMBER_BYTES];
        file.seek(self.place(client, part))?;
        file.read_exact(&mut bytes)?;
        let (numbers, _) = bytes.as_chunks::<NUMBER_BYTES>();
        Ok(numbers.iter().map(|number| f64::from_le_bytes(*number)).collect())
    }

    fn write(&self, file: &mut File, client: usize, part: Part, values: &[f64]) -> io::Result<()> {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        file.seek(self.place(client, part))?;
        file.write_all(&bytes)
    }

    fn place(&self, client: usize, part: Part) -> SeekFrom {
        let vector = 2 * client + part as usize;
        SeekFrom::Start((vector * self.parameters * NUMBER_BYTES) as u64)
    }

    fn lock(&self) -> MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_counted_is_added() {
        let variates = Variates::new(3, 2).expect("a file");
        assert_eq!(variates.own(2).expect("read"), [0.0, 0.0]);
        variates.propose(2, &[1.0, -2.0]).expect("written");
        variates.propose(1, &[9.0, 9.0]).expect("written");
        variates.counted(2).expect("added");
        variates.propose(2, &[0.5, 0.5]).expect("written");
        assert_eq!(variates.own(2).expect("read"), [1.0, -2.0]);
        variates.counted(2).expect("added");
        assert_eq!(variates.own(2).expect("read"), [1.5, -1.5]);
        for other in [0, 1] {
            assert_eq!(variates.own(other).expect("read"), [0.0, 0.0]);
        }
    }
}

//! Writes what the fuzz targets start from: `corpus/<target>/`, from the vectors.

use std::fs;
use std::path::Path;

use covey_fuzz::{ledger, machines};
use covey_fuzz::parsers::PARSERS;
use covey_fuzz::parsers::seeds::Seeds;

fn main() -> std::io::Result<()> {
    let seeds = Seeds::read();
    for parser in &PARSERS {
        write(parser.name, &(parser.seeds)(&seeds))?;
    }
    for parser in &ledger::PARSERS {
        write(parser.name, &(parser.seeds)())?;
    }
    write("round", &machines::seeds::round())?;
    write("holder", &machines::seeds::holder())?;
    write("participant", &machines::seeds::participant())
}

fn write(target: &str, seeds: &[Vec<u8>]) -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder)?;
    for (index, seed) in seeds.iter().enumerate() {
        fs::write(folder.join(format!("seed-{index}")), seed)?;
    }
    Ok(())
}

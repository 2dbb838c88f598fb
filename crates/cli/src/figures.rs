//! `spikegrad figures DIR`: the book's drawings.

use crate::terminal::print;
use clap::Args;
use spikegrad_lab::{Error, Result, files};
use spikegrad_report::figures::drawings;
use std::path::PathBuf;

/// What `figures` takes.
#[derive(Args, Clone, Debug)]
pub struct FiguresArgs {
    /// Folder to write to; drawings of the same name are replaced
    folder: PathBuf,
}

/// Draws.
///
/// # Errors
/// The file system refuses.
pub fn run(args: FiguresArgs) -> Result<()> {
    std::fs::create_dir_all(&args.folder).map_err(|why| Error::at(&args.folder, why))?;
    for (name, svg) in drawings() {
        let path = args.folder.join(name);
        files::write(&path, svg)?;
        print(&format!("wrote {}\n", path.display()));
    }
    Ok(())
}

//! The rules of the tree, as tests: who may depend on whom, which crate alone may name which library, how long a file may
//! grow, and that every crate takes the workspace's lints. A rule that does not run is a wish.

mod dependencies;
mod files;

use std::path::PathBuf;

/// The workspace's root folder.
fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("the tests crate lies in the workspace").to_owned()
}

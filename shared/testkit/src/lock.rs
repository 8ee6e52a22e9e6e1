//! One at a time, over all test processes of this checkout.

use std::fs::File;
use std::path::{Path, PathBuf};

/// Runs `work` while no other process is in it under the same `path`.
pub(crate) fn exclusively<T>(path: &Path, work: impl FnOnce() -> T) -> T {
    let lock = File::create(path).unwrap_or_else(|error| panic!("cannot create {}: {error}", path.display()));
    lock.lock().expect("file locks work on a local disk");
    let done = work();
    drop(lock);
    done
}

/// The build folder this test runs from: `target/<profile>`, found from `target/<profile>/deps/<test>-<hash>`.
pub(crate) fn profile_dir() -> PathBuf {
    let exe = std::env::current_exe().expect("a running program knows its path");
    let deps = exe.parent().expect("invariant: a program lies in a folder");
    let profile = if deps.ends_with("deps") {
        deps.parent()
    } else {
        Some(deps)
    };
    profile
        .expect("invariant: deps lies in the profile's folder")
        .to_owned()
}

/// `target`, for what outlives one run.
pub(crate) fn target_dir() -> PathBuf {
    profile_dir()
        .parent()
        .expect("invariant: the profile's folder lies in target")
        .to_owned()
}

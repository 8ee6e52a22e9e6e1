//! Stand-ins for the three base images, for an engine that can pull nothing.

use crate::engine::{Engine, install};
use muster_bus::server::{Supply, find};
use muster_testkit::process::bin;
use std::collections::BTreeSet;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The programs that the image holds.
const PROGRAMS: &[&str] = &[
    "muster",
    "muster-hook",
    "muster-ingest",
    "muster-orchestrator",
    "muster-notifier",
];
/// Stands in for the compiler: the workspace was compiled already, for the other tests.
const CARGO: &str = "#!/bin/sh\nset -e\nmkdir -p target/release\ncp /prebuilt/* target/release/\n";

/// Makes what the Dockerfile and the compose file start from, unless the engine can pull it.
pub(crate) async fn ensure(engine: &Engine) {
    if !engine.private {
        return;
    }
    install("busybox", "busybox-static");
    let server = tokio::task::spawn_blocking(|| {
        find(&Supply::from_vars(None, |name| std::env::var_os(name))).expect("a nats-server")
    });
    let server = server.await.expect("the search ends");
    let dir = tempfile::tempdir().expect("a folder");

    let debian = Root::new(dir.path(), "debian");
    for program in PROGRAMS {
        debian.libraries_of(&bin(program));
    }
    debian.import(engine, "debian:bookworm-slim", &[]);

    let rust = Root::new(dir.path(), "rust");
    for program in PROGRAMS {
        rust.stripped(&bin(program), &format!("prebuilt/{program}"));
    }
    rust.script("usr/bin/cargo", CARGO);
    rust.file(
        Path::new("/etc/ssl/certs/ca-certificates.crt"),
        "etc/ssl/certs/ca-certificates.crt",
    );
    rust.import(engine, "rust:1.95-slim-bookworm", &[]);

    let nats = Root::new(dir.path(), "nats");
    nats.file(&server, "usr/bin/nats-server");
    nats.import(engine, "nats:2.15-alpine", &["ENTRYPOINT [\"nats-server\"]"]);
}

/// A root folder that becomes an image.
struct Root(PathBuf);

impl Root {
    /// A root with a shell and the usual small programs.
    fn new(dir: &Path, name: &str) -> Self {
        let root = Self(dir.join(name));
        root.file(Path::new("/bin/busybox"), "bin/busybox");
        for program in ["sh", "cat", "cp", "mkdir", "chmod", "wget", "ls", "rm"] {
            symlink("/bin/busybox", root.0.join("bin").join(program)).expect("a link");
        }
        std::fs::create_dir_all(root.0.join("tmp")).expect("a folder");
        root
    }

    fn place(&self, to: &str) -> PathBuf {
        let to = self.0.join(to);
        std::fs::create_dir_all(to.parent().expect("a place in the root")).expect("a folder");
        to
    }

    fn file(&self, from: &Path, to: &str) {
        std::fs::copy(from, self.place(to)).unwrap_or_else(|error| panic!("copying {}: {error}", from.display()));
    }

    fn script(&self, to: &str, text: &str) {
        let to = self.place(to);
        std::fs::write(&to, text).expect("a script");
        std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    }

    fn stripped(&self, from: &Path, to: &str) {
        let status = Command::new("strip")
            .arg("-o")
            .arg(self.place(to))
            .arg(from)
            .status()
            .expect("strip runs");
        assert!(status.success(), "stripping {}", from.display());
    }

    /// The shared libraries a program is linked with, at the places it looks for them.
    fn libraries_of(&self, program: &Path) {
        let output = Command::new("ldd").arg(program).output().expect("ldd runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let paths: BTreeSet<&str> = text.split_whitespace().filter(|word| word.starts_with('/')).collect();
        for path in paths {
            self.file(Path::new(path), path.trim_start_matches('/'));
        }
    }

    fn import(&self, engine: &Engine, name: &str, changes: &[&str]) {
        let mut tar = Command::new("tar")
            .arg("-C")
            .arg(&self.0)
            .args(["-c", "."])
            .stdout(Stdio::piped())
            .spawn()
            .expect("tar runs");
        let mut import = engine.docker();
        import.arg("import");
        for change in changes {
            import.args(["--change", change]);
        }
        let archive = tar.stdout.take().expect("tar's output");
        let output = import.args(["-", name]).stdin(archive).output().expect("docker runs");
        assert!(
            output.status.success() && tar.wait().is_ok_and(|status| status.success()),
            "importing {name}: {output:?}"
        );
    }
}

//! The system's numbers, each beside its floor: the least that anything could take which does the same, measured in turn
//! with it in the same run. Ratios survive a slow or busy machine; the numbers alone say little.
//!
//! `cargo bench -p muster-tests` measures all, `cargo bench -p muster-tests -- fold` one row. All is release builds and
//! real processes, and the hub syncs before it acknowledges. Nothing fails for being slow: the table says where it stands.

#![expect(clippy::print_stdout, reason = "the table is the result")]

mod answer;
mod batch;
mod drain;
mod fold;
mod hook;
mod http;
mod hub;
mod load;
mod policy;
mod request;
mod search;
mod stream;
mod table;

use std::pin::Pin;

type Measure = fn() -> Pin<Box<dyn Future<Output = Vec<table::Row>>>>;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    if let [mode, url, bytes] = &args[..]
        && mode == request::RESPONDER
    {
        return request::respond(url, bytes.parse().expect("a number of bytes")).await;
    }
    let all: [(&str, Measure); 9] = [
        ("hook", || Box::pin(hook::rows())),
        ("drain", || Box::pin(drain::rows())),
        ("http", || Box::pin(http::rows())),
        ("fold", || Box::pin(fold::rows())),
        ("policy", || Box::pin(async { policy::rows() })),
        ("request", || Box::pin(request::rows())),
        ("search", || Box::pin(search::rows())),
        ("stream", || Box::pin(stream::rows())),
        ("answer", || Box::pin(answer::rows())),
    ];
    println!("{}", table::head());
    for (name, measure) in all {
        if args.is_empty() || args.iter().any(|arg| arg == name) {
            println!("{}", table::lines(&measure().await));
        }
    }
}

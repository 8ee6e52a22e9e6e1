//! Over standard input and output: JSON-RPC, a message a line.

use crate::server::Server;
use rmcp::service::{QuitReason, ServerInitializeError, serve_server_with_ct};
use rmcp::transport::stdio_pipes;
use tokio_util::sync::CancellationToken;

/// Why serving ended badly.
#[derive(Debug, thiserror::Error)]
pub enum StdioError {
    /// The client did not begin as the protocol says.
    #[error("the client did not begin as the protocol says: {0}")]
    Beginning(Box<ServerInitializeError>),
    /// A defect.
    #[error("serving broke off: {0}")]
    Broken(#[from] tokio::task::JoinError),
}

/// Serves until the client closes standard input, or `closing` is cancelled.
///
/// # Errors
/// [`StdioError`].
pub async fn serve(server: Server, closing: CancellationToken) -> Result<(), StdioError> {
    let serving = match serve_server_with_ct(server, stdio_pipes(), closing).await {
        Ok(serving) => serving,
        // A client that only looked whether the program starts, or was stopped before it said anything.
        Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => return Ok(()),
        Err(error) => return Err(StdioError::Beginning(Box::new(error))),
    };
    if let QuitReason::JoinError(error) = serving.waiting().await? {
        return Err(error.into());
    }
    Ok(())
}

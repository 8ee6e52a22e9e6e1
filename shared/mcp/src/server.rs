//! The server: what the protocol asks of it, without any state of a connection.

use crate::arguments::Arguments;
use crate::asker::Asker;
use crate::call::{Call, Progress};
use crate::host::Host;
use crate::tools::{Tool, tools};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use muster_bus::operator::Key;
use muster_bus::service::Credentials;
use muster_domain::names::SessionId;
use muster_telemetry::propagation;
use muster_wire::subject::Role;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData, Implementation, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::{ServerHandler, model};
use std::sync::Arc;
use std::time::Instant;
use tracing::field::Empty;
use tracing::{Instrument as _, Span, info_span};

/// The header by which a client over HTTP names the agent's session it asks for.
const SESSION: &str = "muster-session";

/// The server.
#[derive(Clone)]
pub struct Server(Arc<Inner>);

struct Inner {
    asker: Asker,
    /// Whom calls come from where the transport does not say: over standard input, one agent's session.
    who: Credentials,
    host: Option<Box<dyn Host>>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("who", &self.0.who)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// For an agent on this host, which started this program.
    pub fn on_host(asker: Asker, who: Credentials, host: impl Host) -> Self {
        Self(Arc::new(Inner {
            asker,
            who,
            host: Some(Box::new(host)),
        }))
    }

    /// For whoever calls over HTTP; each request says itself who asks.
    pub fn over_http(asker: Asker) -> Self {
        Self(Arc::new(Inner {
            asker,
            who: Credentials::default(),
            host: None,
        }))
    }

    /// Who asks this time.
    fn who(&self, context: &RequestContext<RoleServer>) -> Credentials {
        let Some(parts) = context.extensions.get::<Parts>() else {
            return self.0.who.clone();
        };
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let bearer = header(AUTHORIZATION.as_str())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token);
        Credentials {
            operator: bearer.and_then(|token| Key::new(token).ok()),
            session: header(SESSION).and_then(|id| SessionId::new(id).ok()),
        }
    }

    async fn call(&self, tool: Tool, given: CallToolRequestParams, call: Call<'_>) -> CallToolResult {
        let started = Instant::now();
        let outcome = call.run(tool.does, Arguments::new(given.arguments)).await;
        let (session, took) = (call.who.session.as_ref().map(SessionId::as_str), started.elapsed());
        let (name, caller) = (tool.name, self.0.asker.caller().as_str());
        match outcome {
            Ok(text) => {
                tracing::info!(tool = name, caller, session, ?took, "tool called");
                CallToolResult::success(vec![ContentBlock::text(text)])
            }
            Err(refused) => {
                tracing::info!(tool = name, caller, session, ?took, %refused, "tool refused");
                Span::current().record("error.type", "refused");
                CallToolResult::error(vec![ContentBlock::text(refused.to_string())])
            }
        }
    }
}

fn span(tool: &Tool, who: &Credentials, meta: &model::RequestMetaObject) -> Span {
    let span = info_span!(
        "call",
        otel.name = format!("tools/call {}", tool.name),
        otel.kind = "server",
        mcp.method.name = "tools/call",
        gen_ai.tool.name = tool.name,
        session.id = who.session.as_ref().map(SessionId::as_str),
        "error.type" = Empty,
    );
    propagation::follow(&span, |name| match name {
        "traceparent" => meta.get_traceparent().map(str::to_owned),
        "tracestate" => meta.get_tracestate().map(str::to_owned),
        _ => None,
    });
    span
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("muster", env!("CARGO_PKG_VERSION")))
            .with_instructions(
                "The coding-agent sessions of many machines: what runs, waits and costs, and who may do what.",
            )
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        // What is refused anyway is not worth a place in a model's context.
        let operator = self.who(&context).operator.is_some();
        let offered = tools().filter(|tool| operator || tool.role() != Role::Operator);
        Ok(ListToolsResult::with_all_items(
            offered.map(|tool| tool.listed()).collect(),
        ))
    }

    fn get_tool(&self, name: &str) -> Option<model::Tool> {
        Tool::named(name).map(|tool| tool.listed())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(tool) = Tool::named(&request.name) else {
            return Err(ErrorData::invalid_params(
                format!("no such tool: {}", request.name),
                None,
            ));
        };
        let who = self.who(&context);
        let span = span(&tool, &who, &context.meta);
        let call = Call {
            asker: &self.0.asker,
            who: &who,
            host: self.0.host.as_deref(),
            progress: Progress {
                token: context.meta.get_progress_token(),
                peer: context.peer,
                cancelled: context.ct,
            },
        };
        Ok(self.call(tool, request, call).instrument(span).await.into())
    }
}

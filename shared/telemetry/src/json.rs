//! JSON log lines that name their trace.

use std::fmt;

use opentelemetry::trace::TraceContextExt;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Json, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent};
use tracing_subscriber::registry::LookupSpan;

/// The stock JSON formatter with `trace_id` and `span_id` put in front while a span is recorded.
///
/// The stock formatter has no hook for further fields, so its object is written aside and opened again.
pub(crate) struct WithTrace(Format<Json>);

impl WithTrace {
    pub(crate) fn new() -> Self {
        Self(Format::default().json().flatten_event(true).with_span_list(false))
    }
}

impl<S> FormatEvent<S, JsonFields> for WithTrace
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        let current = opentelemetry::Context::current();
        let span = current.span().span_context().clone();
        match line.strip_prefix('{') {
            Some(rest) if span.is_valid() => {
                write!(
                    writer,
                    "{{\"trace_id\":\"{}\",\"span_id\":\"{}\",{rest}",
                    span.trace_id(),
                    span.span_id()
                )
            }
            _ => writer.write_str(&line),
        }
    }
}

//! What goes back and forth: answers, whole or without end, and the bodies of requests, bounded in size and time.

use super::events::Stream;
use super::problem::{Problem, excerpt};
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE};
use hyper::{HeaderMap, StatusCode};
use soundpost_core::capacity::HTTP_BODY_MAX;
use soundpost_core::config::WEB;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// An answer's body.
pub(super) enum Body {
    /// It is there.
    Whole(Bytes),
    /// It comes as things happen.
    Events(Box<Stream>),
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        Self::Whole(bytes.into())
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Events(stream) => stream.poll(context).map(|bytes| Some(Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Events(_) => SizeHint::default(),
        }
    }
}

/// The JSON object in a request's body.
///
/// # Errors
/// What is wrong with it.
pub(super) async fn object(
    headers: &HeaderMap,
    body: Incoming,
) -> Result<serde_json::Map<String, serde_json::Value>, Problem> {
    let kind = headers.get(CONTENT_TYPE).map(|kind| String::from_utf8_lossy(kind.as_bytes()).into_owned());
    let kind = kind.unwrap_or_default();
    if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        return Err(Problem::value(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type", &kind, "application/json"));
    }
    let said = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if said.is_some_and(|length| length > HTTP_BODY_MAX) {
        return Err(too_long());
    }
    let patience = Duration::from_micros(WEB.body.as_micros());
    let late =
        || Problem::new(StatusCode::REQUEST_TIMEOUT, "body", &format!("not there within {} s", patience.as_secs()));
    let bytes = tokio::time::timeout(patience, collect(body)).await.map_err(|_| late())??;
    match serde_json::from_slice(&bytes) {
        Ok(serde_json::Value::Object(object)) => Ok(object),
        Ok(other) => Err(Problem::bad("body", &other.to_string(), "a JSON object, such as {\"muted\": true}")),
        Err(error) => {
            let value = excerpt(&String::from_utf8_lossy(&bytes));
            let problem = Problem::new(StatusCode::BAD_REQUEST, "body", &format!("body is no JSON: {error}"));
            Err(problem.about(Some(value), Some("a JSON object".to_owned())))
        }
    }
}

fn too_long() -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body", &format!("too long; allowed: up to {HTTP_BODY_MAX} bytes"))
}

async fn collect(mut body: Incoming) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let frame = frame.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "body", &error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > HTTP_BODY_MAX {
            return Err(too_long());
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

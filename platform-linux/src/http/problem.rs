//! What is wrong with a request, for programs and for people: JSON that names the field, its value and what is allowed.

use super::body::Body;
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

/// Why a request is not served.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Problem {
    #[serde(skip)]
    pub(super) status: StatusCode,
    /// A header line that says more.
    #[serde(skip)]
    extra: Option<(header::HeaderName, String)>,
    /// In words.
    error: String,
    /// Which part of the request.
    field: String,
    /// What it was.
    value: Option<String>,
    /// What it may be.
    allowed: Option<String>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, field: &str, error: &str) -> Self {
        Self { status, extra: None, error: error.to_owned(), field: field.to_owned(), value: None, allowed: None }
    }

    /// A value that it may not have, and what it may be.
    pub(super) fn value(status: StatusCode, field: &str, value: &str, allowed: &str) -> Self {
        // What a stranger wrote comes back, but not at any length.
        let shown: String = value.chars().take(80).collect();
        let mut this = Self::new(status, field, &format!("{field} cannot be {shown:?}; allowed: {allowed}"));
        (this.value, this.allowed) = (Some(shown), Some(allowed.to_owned()));
        this
    }

    /// A field of the body that is not as it has to be.
    pub(super) fn bad(field: &str, value: &str, allowed: &str) -> Self {
        Self::value(StatusCode::BAD_REQUEST, field, value, allowed)
    }

    pub(super) fn with(mut self, name: header::HeaderName, value: String) -> Self {
        self.extra = Some((name, value));
        self
    }

    pub(super) fn response(self) -> Response<Body> {
        let text = serde_json::to_string(&self).unwrap_or_default();
        let mut response = json(self.status, text);
        if let Some((name, value)) =
            self.extra.and_then(|(name, value)| Some((name, HeaderValue::try_from(value).ok()?)))
        {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// An answer of this type, never to be kept by anybody on the way, nor taken for anything else.
pub(super) fn answer(status: StatusCode, kind: &'static str, text: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// JSON, with a line break at its end.
pub(super) fn json(status: StatusCode, mut text: String) -> Response<Body> {
    text.push('\n');
    answer(status, "application/json", text)
}

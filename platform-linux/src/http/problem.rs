//! What is wrong with a request, for programs and for people: JSON that names the field, its value and what is allowed.

use super::body::Body;
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

/// Why a request is not served.
#[derive(Clone, Debug)]
pub(super) struct Problem(Box<Facts>);

#[derive(Clone, Debug, Serialize)]
struct Facts {
    #[serde(skip)]
    status: StatusCode,
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

/// The most characters of what a stranger wrote that come back.
const SHOWN: usize = 80;

/// The beginning of what somebody wrote.
pub(super) fn excerpt(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

impl Problem {
    pub(super) fn new(status: StatusCode, field: &str, error: &str) -> Self {
        let (error, field) = (error.to_owned(), field.to_owned());
        Self(Box::new(Facts { status, extra: None, error, field, value: None, allowed: None }))
    }

    /// A value that it may not have, and what it may be.
    pub(super) fn value(status: StatusCode, field: &str, value: &str, allowed: &str) -> Self {
        let shown = excerpt(value);
        let problem = Self::new(status, field, &format!("{field} cannot be {shown:?}; allowed: {allowed}"));
        problem.about(Some(shown), Some(allowed.to_owned()))
    }

    /// A field of the body that is not as it has to be.
    pub(super) fn bad(field: &str, value: &str, allowed: &str) -> Self {
        Self::value(StatusCode::BAD_REQUEST, field, value, allowed)
    }

    /// Which value it is about, and what is allowed.
    pub(super) fn about(mut self, value: Option<String>, allowed: Option<String>) -> Self {
        (self.0.value, self.0.allowed) = (value, allowed);
        self
    }

    /// With a header line that says more.
    pub(super) fn with(mut self, name: header::HeaderName, value: String) -> Self {
        self.0.extra = Some((name, value));
        self
    }

    #[cfg(test)]
    pub(super) fn status(&self) -> StatusCode {
        self.0.status
    }

    pub(super) fn response(self) -> Response<Body> {
        // Texts: nothing in it can fail to be JSON.
        let text = serde_json::to_string(&self.0).unwrap_or_default();
        let mut response = json(self.0.status, text);
        let extra = self.0.extra.and_then(|(name, value)| Some((name, HeaderValue::try_from(value).ok()?)));
        if let Some((name, value)) = extra {
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

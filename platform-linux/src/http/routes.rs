//! What there is to ask for: one table, from request to answer.

use super::body::{self, Body};
use super::events::Stream;
use super::health::Health;
use super::problem::{Problem, answer, json};
use super::{Shop, metrics, orders, presets};
use hyper::body::Incoming;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use soundpost_core::config::Direction;
use std::rc::Rc;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Page,
    Script,
    Health,
    Metrics,
    Description,
    Status,
    Presets,
    Events,
    Config,
    Set,
    Reload,
    Mutes,
    Mute,
    Run(Direction, bool),
    Renew(Direction),
}

const ROUTES: &[(&str, &str, Wish)] = &[
    ("GET", "/", Wish::Page),
    ("GET", "/page.js", Wish::Script),
    ("GET", "/healthz", Wish::Health),
    ("GET", "/metrics", Wish::Metrics),
    ("GET", "/api/v1/openapi.json", Wish::Description),
    ("GET", "/api/v1/status", Wish::Status),
    ("GET", "/api/v1/presets", Wish::Presets),
    ("GET", "/api/v1/events", Wish::Events),
    ("GET", "/api/v1/config", Wish::Config),
    ("PATCH", "/api/v1/config", Wish::Set),
    ("POST", "/api/v1/reload", Wish::Reload),
    ("GET", "/api/v1/mute", Wish::Mutes),
    ("PUT", "/api/v1/mute", Wish::Mute),
    ("POST", "/api/v1/capture/start", Wish::Run(Direction::Capture, true)),
    ("POST", "/api/v1/capture/stop", Wish::Run(Direction::Capture, false)),
    ("POST", "/api/v1/capture/reset", Wish::Renew(Direction::Capture)),
    ("POST", "/api/v1/playback/start", Wish::Run(Direction::Playback, true)),
    ("POST", "/api/v1/playback/stop", Wish::Run(Direction::Playback, false)),
    ("POST", "/api/v1/playback/reset", Wish::Renew(Direction::Playback)),
];

/// Every method and path that is served.
pub fn paths() -> impl Iterator<Item = (&'static str, &'static str)> {
    ROUTES.iter().map(|(method, path, _)| (*method, *path))
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
const EVENTS: &str = "text/event-stream";
/// The page needs what comes from here, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'unsafe-inline'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");

/// Serves a request.
///
/// # Errors
/// What is wrong with it.
pub(super) async fn serve(shop: &Shop, request: Request<Incoming>) -> Result<Response<Body>, Problem> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    shop.guard.check(&head.headers, &head.uri, path == "/healthz")?;
    shop.check_rate()?;
    let wish = find(&head.method, path)?;
    Ok(match wish {
        Wish::Page => page(),
        Wish::Script => answer(StatusCode::OK, SCRIPT, include_str!("page.js")),
        Wish::Health => health(shop),
        Wish::Metrics => answer(StatusCode::OK, METRICS, metrics::text(shop)),
        Wish::Description => answer(StatusCode::OK, "application/json", include_str!("../../../docs/openapi.json")),
        Wish::Status => json(StatusCode::OK, shop.hub.status().to_json()),
        Wish::Presets => json(StatusCode::OK, presets::json()),
        // A question about the events is none that waits for them.
        Wish::Events if head.method == Method::HEAD => answer(StatusCode::OK, EVENTS, ""),
        Wish::Events => events(shop, &head.headers)?,
        Wish::Config => json(StatusCode::OK, orders::config(&shop.hub)),
        Wish::Set => orders::set(shop, &body::object(&head.headers, body).await?)?,
        Wish::Reload => orders::reload(shop)?,
        Wish::Mutes => json(StatusCode::OK, orders::mutes(&shop.hub, &[])),
        Wish::Mute => orders::mute(shop, &body::object(&head.headers, body).await?)?,
        Wish::Run(direction, runs) => orders::run(shop, direction, runs)?,
        Wish::Renew(direction) => orders::renew(shop, direction)?,
    })
}

fn find(method: &Method, path: &str) -> Result<Wish, Problem> {
    let here = || ROUTES.iter().filter(|(_, known, _)| *known == path);
    let asked = if method == Method::HEAD { "GET" } else { method.as_str() };
    if let Some((_, _, wish)) = here().find(|(known, ..)| *known == asked) {
        return Ok(*wish);
    }
    let mut methods: Vec<_> = here().map(|(method, ..)| *method).collect();
    if methods.is_empty() {
        let mut known: Vec<_> = ROUTES.iter().map(|(_, path, _)| *path).collect();
        known.dedup();
        return Err(Problem::value(StatusCode::NOT_FOUND, "path", path, &known.join(", ")));
    }
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    let allowed = methods.join(", ");
    let problem = Problem::value(StatusCode::METHOD_NOT_ALLOWED, "method", method.as_str(), &allowed);
    Err(problem.with(header::ALLOW, allowed))
}

fn page() -> Response<Body> {
    let mut response = answer(StatusCode::OK, HTML, include_str!("page.html"));
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

fn health(shop: &Shop) -> Response<Body> {
    let health = Health::of(&shop.hub);
    let status = if health.healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    // Words and switches: nothing in it can fail to be JSON.
    json(status, serde_json::to_string(&health).unwrap_or_default())
}

fn events(shop: &Shop, headers: &HeaderMap) -> Result<Response<Body>, Problem> {
    let place = shop.follow()?;
    let seen = headers.get(LAST_EVENT).and_then(|seen| seen.to_str().ok());
    let stream = Stream::new(Rc::clone(&shop.hub), place, seen);
    Ok(answer(StatusCode::OK, EVENTS, Body::Events(Box::new(stream))))
}

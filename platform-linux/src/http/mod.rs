//! Control over HTTP, for programs and people: status, configuration, mute, events and metrics.
//!
//! Everything is served by the daemon's one thread, between two packets, so everything is bounded: connections, heads and
//! bodies in size and in time, and how often all together may ask. Nobody is waited for: what a peer does not take stays
//! with its own connection, and one that takes nothing is cut off by the kernel. Who is let in is asked first
//! (`guard`): a page of another site is not, whatever it calls us, and nobody beyond this machine without a token.

mod body;
mod events;
mod guard;
mod health;
mod listen;
mod metrics;
mod orders;
mod presets;
mod problem;
mod routes;

pub(crate) use listen::Counter;
pub use listen::{DEFAULT, HttpError, Listen};
pub use routes::paths;

use crate::daemon::hub::Hub;
use crate::rt::now;
use body::Body;
use guard::Guard;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use problem::Problem;
use rustix::net::sockopt::{set_socket_send_buffer_size, set_tcp_user_timeout};
use soundpost_core::capacity::{
    HTTP_CONNECTIONS_MAX, HTTP_FOLLOWERS_MAX, HTTP_HEAD_MAX, HTTP_HEADERS_MAX, HTTP_QUEUE_BYTES,
};
use soundpost_core::config::{LIMITS, WEB};
use soundpost_core::flood::Bucket;
use soundpost_core::time::Span;
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Somebody's place among a bounded number; free again when it is dropped.
#[derive(Clone, Debug)]
struct Place(#[allow(dead_code, reason = "it is counted, not read")] Rc<()>);

/// So many places.
#[derive(Debug, Default)]
struct Places(Rc<()>);

impl Places {
    fn taken(&self) -> usize {
        Rc::strong_count(&self.0) - 1
    }

    fn take(&self, most: usize) -> Option<Place> {
        (self.taken() < most).then(|| Place(Rc::clone(&self.0)))
    }
}

/// What all connections share.
struct Shop {
    hub: Rc<Hub>,
    guard: Guard,
    connections: Places,
    followers: Places,
    allowance: RefCell<Bucket>,
    /// Answers by the first figure of their status.
    answers: [Cell<u64>; 6],
}

fn duration(span: Span) -> Duration {
    Duration::from_micros(span.as_micros())
}

/// Serves for as long as the daemon runs.
pub(crate) async fn serve(hub: Rc<Hub>, counter: Counter) {
    let Counter { listener, address, token } = counter;
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!("no control over HTTP: {address}: {error}"),
    };
    let shop = Rc::new(Shop {
        hub,
        guard: Guard::new(token),
        connections: Places::default(),
        followers: Places::default(),
        allowance: RefCell::new(Bucket::new(LIMITS.http, now())),
        answers: Default::default(),
    });
    loop {
        match listener.accept().await {
            Ok((stream, _)) => welcome(&shop, stream),
            Err(error) => {
                tracing::warn!("cannot accept a connection over HTTP: {error}");
                tokio::time::sleep(duration(WEB.breath)).await;
            }
        }
    }
}

/// Serves a connection, in a task of its own.
fn welcome(shop: &Rc<Shop>, stream: TcpStream) {
    let Some(place) = shop.connections.take(HTTP_CONNECTIONS_MAX) else {
        shop.count(StatusCode::SERVICE_UNAVAILABLE);
        // What does not fit into the fresh socket is not worth a wait.
        let _ = stream.try_write(full_house().as_bytes());
        return;
    };
    // Without these, who takes nothing is given megabytes, and kept until the connection breaks by itself.
    let bounded = set_socket_send_buffer_size(&stream, HTTP_QUEUE_BYTES);
    let stall = u32::try_from(WEB.stall.as_micros() / 1000).unwrap_or(u32::MAX);
    if let Err(error) = bounded.and_then(|()| set_tcp_user_timeout(&stream, stall)) {
        tracing::warn!("cannot bound what a connection may hold, and for how long: {error}");
    }
    // What is said is whole, and somebody waits for it.
    let _ = stream.set_nodelay(true);
    let shop = Rc::clone(shop);
    tokio::task::spawn_local(async move {
        let _place = place;
        let service = service_fn(move |request| serve_request(Rc::clone(&shop), request));
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(duration(WEB.head)).half_close(false);
        builder.max_header_size(HTTP_HEAD_MAX).max_headers(HTTP_HEADERS_MAX).max_buf_size(2 * HTTP_HEAD_MAX);
        if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
            tracing::debug!("a connection over HTTP ended: {error}");
        }
    });
}

async fn serve_request(shop: Rc<Shop>, request: Request<hyper::body::Incoming>) -> Result<Response<Body>, Infallible> {
    let response = match routes::serve(&shop, request).await {
        Ok(response) => response,
        Err(problem) => problem.response(),
    };
    shop.count(response.status());
    // Other connections have their turn, however many requests come on this one.
    tokio::task::yield_now().await;
    Ok(response)
}

impl Shop {
    fn count(&self, status: StatusCode) {
        if let Some(count) = self.answers.get(usize::from(status.as_u16() / 100)) {
            count.set(count.get() + 1);
        }
    }

    /// Whether all together have asked too often.
    fn check_rate(&self) -> Result<(), Problem> {
        if self.allowance.borrow_mut().take(now()) {
            return Ok(());
        }
        let (burst, rate) = (LIMITS.http.burst, LIMITS.http.per_second);
        let text = format!("requests come too fast; allowed, for all together: {burst} at once, then {rate} a second");
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate", &text);
        Err(problem.with(header::RETRY_AFTER, "1".to_owned()))
    }

    /// A place among those who follow events.
    fn follow(&self) -> Result<Place, Problem> {
        self.followers.take(HTTP_FOLLOWERS_MAX).ok_or_else(|| {
            let text = format!("{HTTP_FOLLOWERS_MAX} follow events already, as many as allowed; try again later");
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "events", &text);
            problem.with(header::RETRY_AFTER, "10".to_owned())
        })
    }
}

/// What is said to who finds no place.
fn full_house() -> String {
    let error = format!("{HTTP_CONNECTIONS_MAX} connections are open, as many as allowed; try again later");
    let text = serde_json::json!({ "error": error, "field": "connection", "value": null, "allowed": null }).to_string();
    format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{text}\n",
        text.len() + 1
    )
}

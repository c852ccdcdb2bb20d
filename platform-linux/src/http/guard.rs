//! Who may ask: not a page of another site in the browser of somebody here, and nobody without the token, if there is one.
//!
//! A page that makes a name of its own point at this machine is told from us by the `Host` that it names; one that sends
//! its visitors' requests here, by their `Origin`. An address in figures cannot be made to point elsewhere.

use super::listen::Token;
use super::problem::Problem;
use hyper::header::{self, HeaderMap, HeaderName};
use hyper::{StatusCode, Uri};
use std::net::IpAddr;

/// See the module.
#[derive(Debug)]
pub(super) struct Guard {
    token: Option<Token>,
    /// What this machine calls itself.
    own: Vec<String>,
}

/// How a request came about, as browsers say.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

impl Guard {
    pub(super) fn new(token: Option<Token>) -> Self {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_lowercase();
        let mut own = vec!["localhost".to_owned()];
        if !name.is_empty() {
            own.extend([format!("{name}.local"), name]);
        }
        Self { token, own }
    }

    /// Whether this request may be served; `open` ones without the token.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn check(&self, headers: &HeaderMap, uri: &Uri, open: bool) -> Result<(), Problem> {
        let host = self.host(headers, uri)?;
        let origin = text(headers, &header::ORIGIN);
        if let Some(origin) = &origin {
            let site = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
            if !site.is_some_and(|site| site.eq_ignore_ascii_case(&host)) {
                let allowed = format!("http://{host}: pages of other sites may not come in here");
                return Err(Problem::value(StatusCode::FORBIDDEN, "Origin", origin, &allowed));
            }
        }
        let site = text(headers, &FETCH_SITE).unwrap_or_default();
        let navigates = text(headers, &FETCH_MODE).as_deref() == Some("navigate");
        if matches!(&*site, "cross-site" | "same-site") && !navigates {
            let allowed = "same-origin or none: pages of other sites may not come in here";
            return Err(Problem::value(StatusCode::FORBIDDEN, "Sec-Fetch-Site", &site, allowed));
        }
        if open { Ok(()) } else { self.token(headers) }
    }

    /// What the request calls us, if we may be called so.
    fn host(&self, headers: &HeaderMap, uri: &Uri) -> Result<String, Problem> {
        let mut said = headers.get_all(header::HOST).iter();
        let (first, more) = (said.next(), said.next().is_some());
        let host = match (uri.authority(), first) {
            (_, _) if more => None,
            (Some(authority), _) => Some(authority.as_str().to_owned()),
            (None, host) => host.and_then(|host| host.to_str().ok()).map(str::to_owned),
        };
        let missing = || Problem::new(StatusCode::BAD_REQUEST, "Host", "a request needs one Host header");
        let host = host.ok_or_else(missing)?;
        let name = without_port(&host);
        let is_figures = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        if is_figures || self.own.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            return Ok(host);
        }
        let allowed = format!("an address in figures, {}", self.own.join(", "));
        Err(Problem::value(StatusCode::FORBIDDEN, "Host", &host, &allowed))
    }

    fn token(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(token) = &self.token else { return Ok(()) };
        let said = text(headers, &header::AUTHORIZATION).unwrap_or_default();
        let (scheme, theirs) = said.split_once(' ').unwrap_or_default();
        if scheme.eq_ignore_ascii_case("bearer") && token.is(theirs.trim()) {
            return Ok(());
        }
        let text = if said.is_empty() {
            "a token is needed; allowed: Authorization: Bearer TOKEN, with what is in http.token-file"
        } else {
            "not the token; allowed: Authorization: Bearer TOKEN, with what is in http.token-file"
        };
        let problem = Problem::new(StatusCode::UNAUTHORIZED, "Authorization", text);
        Err(problem.with(header::WWW_AUTHENTICATE, "Bearer".to_owned()))
    }
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// A host without its port. What is in brackets has colons of its own.
fn without_port(host: &str) -> &str {
    match (host.rfind(']'), host.rfind(':')) {
        (Some(end), _) => host.get(..=end).unwrap_or(host),
        (None, Some(colon)) => host.get(..colon).unwrap_or(host),
        (None, None) => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[(&'static str, &str)]) -> Result<(), StatusCode> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        let guard = Guard { token: None, own: vec!["localhost".to_owned(), "box".to_owned()] };
        guard.check(&headers, &Uri::from_static("/"), false).map_err(|problem| problem.status())
    }

    #[test]
    fn addresses_in_figures_and_our_own_names_are_ours() {
        for host in ["127.0.0.1:4886", "localhost", "LOCALHOST:1", "[::1]:4886", "192.168.1.7", "box", "Box:80"] {
            assert_eq!(check(&[("host", host)]), Ok(()), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:4886", "", "box.", "[::1"] {
            assert_eq!(check(&[("host", host)]), Err(StatusCode::FORBIDDEN), "{host}");
        }
        assert_eq!(check(&[]), Err(StatusCode::BAD_REQUEST));
        assert_eq!(check(&[("host", "localhost"), ("host", "localhost")]), Err(StatusCode::BAD_REQUEST));
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        let with = |name, value| check(&[("host", "localhost:4886"), (name, value)]);
        assert_eq!(with("origin", "http://localhost:4886"), Ok(()));
        for origin in ["http://localhost:80", "http://evil.example", "null", "", "http://localhost:4886.evil.example"] {
            assert_eq!(with("origin", origin), Err(StatusCode::FORBIDDEN), "{origin}");
        }
        assert_eq!(with("sec-fetch-site", "same-origin"), Ok(()));
        assert_eq!(with("sec-fetch-site", "none"), Ok(()));
        assert_eq!(with("sec-fetch-site", "cross-site"), Err(StatusCode::FORBIDDEN));
        let link = [("host", "localhost"), ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")];
        assert_eq!(check(&link), Ok(()), "a link from another page may lead here");
    }
}

//! HTTP/1.1, by hyper: which requests are taken, and what they are answered.

use std::cell::OnceCell;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::header::{
    ALLOW, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, ORIGIN, RETRY_AFTER,
    TRANSFER_ENCODING, WWW_AUTHENTICATE,
};
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use crate::mcp::{Page, Web};
use crate::parse::CallRequest;
use crate::protocol::{Failure, Format};
use crate::race::{Either, race};
use crate::reply::{Failed, RECEIPT_TYPE, Reply};
use crate::service::{Asker, Core};
use crate::stream::{Stream, discard};
use crate::token::{Shown, Tokens, no_token, wrong_token};
use crate::watch::{Underway, Watch};

/// Serves a connection until it ends.
pub(crate) async fn serve(core: &Rc<Core>, client: u64, stream: Stream, tokens: Tokens) {
    let watch = Rc::clone(stream.watch());
    watch.expect_heads();
    // The header may have begun to come already.
    watch.has_read();
    let session = Session {
        core: Rc::clone(core),
        asker: core.asker(client),
        watch,
        port: stream.port(),
        tokens,
        web: OnceCell::new(),
    };
    let header_bytes = core.limits().header_bytes;
    let answer = service_fn(|request| async { Ok::<_, Infallible>(session.answer(request).await) });
    let mut connection = Builder::new()
        // Times are kept by `Watch`; a date would say nothing that the client does not know.
        .header_read_timeout(None)
        .auto_date_header(false)
        .max_header_size(header_bytes)
        .max_buf_size(header_bytes.max(BUFFER_BYTES_MIN))
        .serve_connection(TokioIo::new(stream), answer);
    let ended = match race(Pin::new(&mut connection), core.drained()).await {
        Either::First(ended) => ended,
        Either::Second(()) => {
            Pin::new(&mut connection).graceful_shutdown();
            Pin::new(&mut connection).await
        }
    };
    // A client that broke off has no use for an error. What is no request was answered by hyper, by a status alone.
    if ended.is_err_and(|error| error.is_parse()) {
        let mut stream = connection.into_parts().io.into_inner();
        let handshake = stream.watch().handshake();
        discard(&mut stream, handshake).await;
    }
}

/// A whole response, for whoever is not served.
pub(crate) fn bare_refusal(failed: &Failed) -> Vec<u8> {
    let body = failed.to_json();
    format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// hyper takes no less.
const BUFFER_BYTES_MIN: usize = 8192;

type Answer = Response<Page>;

/// An answer instead of the one that was asked for.
type Refusal = Box<Answer>;

/// One connection.
#[derive(Debug)]
struct Session {
    core: Rc<Core>,
    asker: Asker,
    watch: Rc<Watch>,
    // Of TCP, where a web page may try to be a client.
    port: Option<u16>,
    tokens: Tokens,
    // MCP, once it is asked for.
    web: OnceCell<Web>,
}

impl Session {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        self.watch.is_asked();
        let underway = self.watch.underway();
        // What a body without a length leaves behind is never read as another request.
        let is_last = request.headers().contains_key(TRANSFER_ENCODING);
        let mut answer = self.route(request, underway).await.unwrap_or_else(|refused| *refused);
        if is_last {
            close(&mut answer);
        }
        answer
    }

    /// The answer, or the refusal that is one.
    async fn route(&self, request: Request<Incoming>, underway: Underway) -> Result<Answer, Refusal> {
        self.must_be_local(&request)?;
        let path = request.uri().path();
        if path == "/healthz" {
            must_be(&request, &Method::GET)?;
            return Ok(with_body(StatusCode::OK, "text/plain", "ok\n".to_owned()));
        }
        self.must_have_token(&request).await?;
        match path {
            "/readyz" => {
                must_be(&request, &Method::GET)?;
                let (ready, why) = self.core.readiness().await;
                let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                Ok(json_answer(status, json!({ "ready": ready, "why": why }).to_string()))
            }
            "/v1/tools" => {
                must_be(&request, &Method::GET)?;
                let format = format_of(request.uri().query())?;
                let (list, _holding) = self.core.tools(&self.asker, format).await.map_err(failed)?;
                Ok(json_answer(StatusCode::OK, list))
            }
            // What it holds is large, and no part of what others hold.
            "/mcp" => Box::pin(self.mcp(request, underway)).await,
            "/v1/call" => {
                must_be(&request, &Method::POST)?;
                let (head, body) = request.into_parts();
                let body = self.body(head.headers.get(CONTENT_TYPE), body).await?;
                let call = CallRequest::parse(&body).map_err(|problem| refuse(StatusCode::BAD_REQUEST, problem))?;
                drop(body);
                Ok(of_reply(&self.core.reply(&self.asker, call).await.0))
            }
            _other => match path.strip_prefix(RECEIPTS) {
                Some(call) => {
                    must_be(&request, &Method::GET)?;
                    let call = call.to_owned();
                    let receipt = self.core.receipt(&self.asker, call).await.map_err(failed)?;
                    Ok(with_body(StatusCode::OK, RECEIPT_TYPE, receipt))
                }
                None => Err(refuse(
                    StatusCode::NOT_FOUND,
                    "no such path: there are /healthz, /readyz, /v1/tools, /v1/call, /v1/receipts/CALL and /mcp",
                )),
            },
        }
    }

    async fn mcp(&self, request: Request<Incoming>, underway: Underway) -> Result<Answer, Refusal> {
        let web = self.web.get_or_init(|| Web::new(&self.core, &self.asker, self.port.map(own_origins)));
        if request.method() != Method::POST {
            return Ok(web.answer(request.into_parts().0, b"", underway).await);
        }
        let (head, body) = request.into_parts();
        let body = self.body(head.headers.get(CONTENT_TYPE), body).await?;
        Ok(web.answer(head, &body, underway).await)
    }

    /// A page in a browser can send requests to a port of this machine, under another name for it (DNS rebinding), but it cannot
    /// leave out where it comes from. No page comes from this port itself, so that its own origin is no page's.
    fn must_be_local(&self, request: &Request<Incoming>) -> Result<(), Refusal> {
        let Some(port) = self.port else { return Ok(()) };
        let own = own_origins(port);
        let is_own =
            |origin: &HeaderValue| own.iter().any(|own| origin.as_bytes().eq_ignore_ascii_case(own.as_bytes()));
        if !request.headers().get_all(ORIGIN).iter().all(is_own) {
            return Err(refuse(StatusCode::FORBIDDEN, "web pages are not served: the request has the Origin of one"));
        }
        let mut hosts = request.headers().get_all(HOST).iter();
        let host = hosts.next().and_then(|host| host.to_str().ok());
        let authority = request.uri().authority().map(|authority| authority.as_str());
        let is_local = |host: &str| is_local_host(host, port);
        if hosts.next().is_none() && host.is_some_and(is_local) && authority.is_none_or(is_local) {
            return Ok(());
        }
        Err(refuse(
            StatusCode::FORBIDDEN,
            format!("the Host must be localhost:{port}, 127.0.0.1:{port} or [::1]:{port}"),
        ))
    }

    async fn must_have_token(&self, request: &Request<Incoming>) -> Result<(), Refusal> {
        if !self.core.wants_token() {
            return Ok(());
        }
        let mut given = request.headers().get_all(AUTHORIZATION).iter();
        let token = match (given.next(), given.next()) {
            // By a line before all requests.
            (None, _) if self.tokens.holds() => return Ok(()),
            (Some(given), None) => bearer(given),
            (None | Some(_), _) => None,
        };
        let Some(token) = token else { return Err(unauthenticated(no_token())) };
        match self.tokens.show(&self.core, self.asker.client, token).await {
            Ok(Shown::Right) => Ok(()),
            Ok(Shown::Wrong) => Err(unauthenticated(wrong_token())),
            Ok(Shown::OneTooMany) => {
                let mut last = unauthenticated(wrong_token());
                close(&mut last);
                Err(last)
            }
            Err(failure) => Err(failed(failure)),
        }
    }

    /// The whole body, if it is JSON by its type and no longer than it may be.
    async fn body(&self, content_type: Option<&HeaderValue>, incoming: Incoming) -> Result<Vec<u8>, Refusal> {
        if !is_json(content_type) {
            return Err(refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the Content-Type must be application/json"));
        }
        let most = self.core.limits().body_bytes;
        let announced = usize::try_from(incoming.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > most {
            return Err(too_large(most));
        }
        self.watch.reads(true);
        let body = self.whole(incoming, announced).await;
        self.watch.reads(false);
        body
    }

    /// Reads a body to its end, in the time that it has.
    async fn whole(&self, mut incoming: Incoming, announced: usize) -> Result<Vec<u8>, Refusal> {
        let limits = self.core.limits();
        let most = limits.body_bytes;
        let mut body = Vec::with_capacity(announced.min(BODY_BYTES_AT_FIRST));
        // However it drips: its connection is one of those that the agent may have. Whoever says nothing is closed before.
        let until = Instant::now() + Duration::from_millis(limits.idle_ms.saturating_add(limits.handshake_ms));
        loop {
            let Ok(frame) = timeout_at(until, incoming.frame()).await else {
                return Err(refuse(
                    StatusCode::REQUEST_TIMEOUT,
                    "the body did not come in the time that it has (`serve.idle` and `serve.handshake`)",
                ));
            };
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|_broken| refuse(StatusCode::BAD_REQUEST, "the body is not whole"))?;
            let Some(bytes) = frame.data_ref() else { continue };
            if body.len() + bytes.len() > most {
                return Err(too_large(most));
            }
            body.extend_from_slice(bytes);
        }
        Ok(body)
    }
}

/// Where receipts are, by the name of their call.
const RECEIPTS: &str = "/v1/receipts/";

/// Room for a body before it comes: what is announced may never do.
const BODY_BYTES_AT_FIRST: usize = 64 << 10;

/// The token of `Authorization: Bearer TOKEN`.
fn bearer(given: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = given.as_bytes().split_at_checked(7)?;
    let is_token = !token.is_empty() && token.iter().all(u8::is_ascii_graphic);
    (scheme.eq_ignore_ascii_case(b"bearer ") && is_token).then_some(token)
}

/// The names of this machine, as a Host has them.
const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

fn is_local_host(host: &str, port: u16) -> bool {
    let Some((name, given)) = host.rsplit_once(':') else { return false };
    given == port.to_string() && LOCAL_NAMES.iter().any(|local| name.eq_ignore_ascii_case(local))
}

/// The origins of a port of this machine (RFC 6454).
fn own_origins(port: u16) -> [String; 3] {
    LOCAL_NAMES.map(|name| format!("http://{name}:{port}"))
}

fn is_json(content_type: Option<&HeaderValue>) -> bool {
    let essence = content_type.and_then(|value| value.to_str().ok()).and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// The form of a list, by the query.
fn format_of(query: Option<&str>) -> Result<Format, Refusal> {
    match query {
        None | Some("" | "format=tollgate") => Ok(Format::Tollgate),
        Some("format=mcp") => Ok(Format::Mcp),
        Some("format=openai") => Ok(Format::Openai),
        Some("format=anthropic") => Ok(Format::Anthropic),
        Some("format=gemini") => Ok(Format::Gemini),
        Some(_) => Err(refuse(
            StatusCode::BAD_REQUEST,
            "the query may be `format=`, with one of tollgate, mcp, openai, anthropic, gemini",
        )),
    }
}

fn must_be(request: &Request<Incoming>, method: &Method) -> Result<(), Refusal> {
    if request.method() == method {
        return Ok(());
    }
    let mut refused = refuse(StatusCode::METHOD_NOT_ALLOWED, format!("this path takes {method}"));
    put(&mut refused, ALLOW, method.as_str());
    Err(refused)
}

fn of_reply(reply: &Reply) -> Answer {
    let status = StatusCode::from_u16(reply.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = json_answer(status, reply.to_json());
    if status == StatusCode::SERVICE_UNAVAILABLE {
        put(&mut answer, RETRY_AFTER, "1");
    }
    answer
}

fn unauthenticated(failure: Failure) -> Refusal {
    let mut refused = failed(failure);
    put(&mut refused, WWW_AUTHENTICATE, "Bearer");
    refused
}

/// The rest of the body is not read, so nothing can follow it.
fn too_large(most: usize) -> Refusal {
    let mut refused =
        refuse(StatusCode::PAYLOAD_TOO_LARGE, format!("the body has more than {most} bytes (`body_bytes`)"));
    close(&mut refused);
    refused
}

fn refuse(status: StatusCode, message: impl Into<String>) -> Refusal {
    Box::new(json_answer(status, Reply::failed(Failure::new("rejected", message)).to_json()))
}

fn failed(failure: Failure) -> Refusal {
    Box::new(of_reply(&Reply::failed(failure)))
}

fn json_answer(status: StatusCode, body: String) -> Answer {
    with_body(status, "application/json", body)
}

fn with_body(status: StatusCode, content_type: &str, body: String) -> Answer {
    let mut answer = Response::new(Page::Whole(Full::new(Bytes::from(body))));
    *answer.status_mut() = status;
    put(&mut answer, CONTENT_TYPE, content_type);
    answer
}

fn close(answer: &mut Answer) {
    put(answer, CONNECTION, "close");
}

fn put(answer: &mut Answer, name: HeaderName, value: &str) {
    // Each of ours is printable ASCII.
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_by_its_own_names_is_local() {
        for host in ["localhost:80", "LocalHost:80", "127.0.0.1:80", "[::1]:80"] {
            assert!(is_local_host(host, 80), "{host}");
        }
        for host in [
            "localhost",
            "localhost:8080",
            "localhost:080",
            "127.0.0.2:80",
            "::1:80",
            "evil.com:80",
            "a@localhost:80",
            ":80",
            "",
        ] {
            assert!(!is_local_host(host, 80), "{host}");
        }
    }

    #[test]
    fn a_token_has_its_scheme() {
        let token = |value: &'static str| bearer(&HeaderValue::from_static(value)).map(<[u8]>::to_vec);
        assert_eq!(token("Bearer tg_1").unwrap(), b"tg_1");
        assert_eq!(token("bearer tg_1").unwrap(), b"tg_1");
        for value in ["", "Bearer", "Bearer ", "Bearer a b", "Basic dGc=", "tg_1", "Bearer  tg_1"] {
            assert_eq!(token(value), None, "{value}");
        }
    }

    #[test]
    fn only_json_is_a_body() {
        let is = |value: &'static str| is_json(Some(&HeaderValue::from_static(value)));
        assert!(is("application/json") && is("Application/JSON; charset=utf-8"));
        assert!(!is("text/plain") && !is("application/json2") && !is("") && !is_json(None));
    }
}

//! MCP over HTTP: one request, one answer, on the path `/mcp`. rmcp judges headers against body; who may ask at all, and how long a body may
//! be, was judged before.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::task::JoinSet;

use super::beside::Beside;
use super::{Arguments, Server, jobs};
use crate::parse::{Does, Id, MESSAGE_BYTES_MAX, McpMessage, RpcError};
use crate::race::{Either, race};
use crate::reply::refused_line;
use crate::service::{Asker, Core};
use crate::watch::Underway;

/// MCP for one connection.
pub(crate) struct Web {
    core: Rc<Core>,
    service: StreamableHttpService<Server, NeverSessionManager>,
    // Ends with the connection.
    _jobs: JoinSet<()>,
}

impl std::fmt::Debug for Web {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Web").finish_non_exhaustive()
    }
}

/// What a response has as its body.
#[derive(Debug)]
pub(crate) enum Page {
    /// All of it.
    Whole(Full<Bytes>),
    /// One that may come in pieces. The request is under way as long as it does.
    Coming(BoxBody<Bytes, Infallible>, Option<Underway>),
}

impl Web {
    /// `own` are the origins of the port that the connection is to; none over a socket.
    pub(crate) fn new(core: &Rc<Core>, asker: &Asker, own: Option<[String; 3]>) -> Self {
        let (asks, jobs) = jobs::pair(core, asker);
        let server = Server { asks, news: core.news() };
        let config = StreamableHttpServerConfig::default()
            .with_legacy_session_mode(false)
            .with_json_response(true)
            .with_max_request_body_bytes(MESSAGE_BYTES_MAX)
            .enforce_origin_validation();
        let config = match own {
            Some(own) => config.with_allowed_origins(own),
            // There is no name that could be another's.
            None => config.disable_allowed_hosts(),
        };
        let service = StreamableHttpService::new(move || Ok(server.clone()), Arc::default(), config);
        let mut tasks = JoinSet::new();
        tasks.spawn_local(jobs.work());
        Self { core: Rc::clone(core), service, _jobs: tasks }
    }

    /// Answers a request, whose body was read. Dropping this withdraws its call.
    pub(crate) async fn answer(&self, mut head: Parts, body: &[u8], underway: Underway) -> Response<Page> {
        let (asked, text) = match read(&mut head, body) {
            Ok(read) => read,
            Err(error) => return answered(StatusCode::BAD_REQUEST, refused_line(&error)),
        };
        head.headers.remove(CONTENT_LENGTH);
        let beside = Beside::default();
        head.extensions.insert(beside.clone());
        let session = head.headers.get(SESSION).map(|name| name.as_bytes().to_vec());
        let request = Request::from_parts(head, Full::new(Bytes::from(text)));
        let handled = self.service.handle(request);
        let sessions = self.core.sessions();
        let response = match asked {
            Asked::Call(id) => match session.and_then(|session| sessions.open(&session, &id)) {
                Some(open) => match race(handled, open.withdrawn()).await {
                    Either::First(response) => response,
                    Either::Second(()) => return answered(StatusCode::OK, withdrawn_line(id)),
                },
                None => handled.await,
            },
            Asked::Cancel(id) => {
                session.into_iter().for_each(|session| sessions.withdraw(&session, &id));
                handled.await
            }
            Asked::Initialize => {
                let response = handled.await;
                let is_begun = response.status().is_success();
                if is_begun { with_session(response, &sessions.name()) } else { response }
            }
            Asked::Other => handled.await,
        };
        if !beside.is_there() {
            return response.map(|body| Page::Coming(body, Some(underway)));
        }
        let (mut head, body) = response.into_parts();
        head.headers.remove(CONTENT_LENGTH);
        // A result is all of its body, and there already.
        let Ok(message) = body.collect().await;
        let whole = Full::new(Bytes::from(beside.put_into(message.to_bytes().into())));
        Response::from_parts(head, Page::Coming(BoxBody::new(whole), Some(underway)))
    }
}

/// What a body asks for, and its text as rmcp may have it; a call's arguments go with the head.
fn read(head: &mut Parts, body: &[u8]) -> Result<(Asked, Vec<u8>), RpcError> {
    if body.is_empty() {
        return Ok((Asked::Other, Vec::new()));
    }
    let McpMessage { id, does, text } = McpMessage::parse(body)?;
    let asked = match does {
        Does::Call { arguments } => {
            if let Some(arguments) = arguments {
                head.extensions.insert(Arguments(arguments.into()));
            }
            id.map_or(Asked::Other, Asked::Call)
        }
        Does::Cancel { request } => Asked::Cancel(request),
        Does::Other { method } if method == "initialize" => Asked::Initialize,
        Does::Other { .. } | Does::Answers => Asked::Other,
    };
    Ok((asked, text))
}

/// What makes a difference here.
enum Asked {
    Call(Id),
    Cancel(Id),
    Initialize,
    Other,
}

/// The header by which a client of the first era says again what `initialize` gave it.
const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

fn with_session<B>(mut response: Response<B>, name: &str) -> Response<B> {
    if let Ok(name) = HeaderValue::from_str(name) {
        response.headers_mut().insert(SESSION, name);
    }
    response
}

fn withdrawn_line(id: Id) -> Vec<u8> {
    refused_line(&RpcError { id: Some(id), code: INTERNAL_ERROR, message: "cancelled by the client".to_owned() })
}

const INTERNAL_ERROR: i32 = -32603;

fn answered(status: StatusCode, body: Vec<u8>) -> Response<Page> {
    let mut answer = Response::new(Page::Whole(Full::new(Bytes::from(body))));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

impl Body for Page {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match self.get_mut() {
            Self::Whole(whole) => Pin::new(whole).poll_frame(context),
            Self::Coming(body, underway) => {
                let frame = Pin::new(body).poll_frame(context);
                if matches!(frame, Poll::Ready(None)) {
                    *underway = None;
                }
                frame
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.is_end_stream(),
            Self::Coming(body, _) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => whole.size_hint(),
            Self::Coming(body, _) => body.size_hint(),
        }
    }
}

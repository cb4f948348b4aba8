//! MCP over HTTP: one request, one answer, on the path `/mcp`. rmcp judges headers against body; who may ask at all, and how long a body may
//! be, was judged before.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use http_body_util::combinators::BoxBody;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::task::JoinSet;

use super::{Arguments, Server, jobs};
use crate::parse::{Does, MESSAGE_BYTES_MAX, McpMessage};
use crate::reply::refused_line;
use crate::service::Core;
use crate::watch::Underway;

/// MCP for one connection.
pub(crate) struct Web {
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
    pub(crate) fn new(core: &Rc<Core>, client: u64, is_tcp: bool) -> Self {
        let (asks, jobs) = jobs::pair(core, client);
        let server = Server { asks, news: core.news() };
        let config = StreamableHttpServerConfig::default()
            .with_legacy_session_mode(false)
            .with_json_response(true)
            .with_max_request_body_bytes(MESSAGE_BYTES_MAX)
            .enforce_origin_validation();
        // Over a socket there is no name that could be another's.
        let config = if is_tcp { config } else { config.disable_allowed_hosts() };
        let service = StreamableHttpService::new(move || Ok(server.clone()), Arc::default(), config);
        let mut tasks = JoinSet::new();
        tasks.spawn_local(jobs.work());
        Self { service, _jobs: tasks }
    }

    /// Answers a request, whose body was read. Dropping this withdraws its call.
    pub(crate) async fn answer(&self, mut head: Parts, body: &[u8], underway: Underway) -> Response<Page> {
        let text = if body.is_empty() {
            Vec::new()
        } else {
            match McpMessage::parse(body) {
                Ok(McpMessage { does, text, .. }) => {
                    if let Does::Call { arguments: Some(arguments) } = does {
                        head.extensions.insert(Arguments(arguments.into()));
                    }
                    text
                }
                Err(error) => return bad(refused_line(&error)),
            }
        };
        head.headers.remove(CONTENT_LENGTH);
        let request = Request::from_parts(head, Full::new(Bytes::from(text)));
        let response = self.service.handle(request).await;
        response.map(|body| Page::Coming(body, Some(underway)))
    }
}

fn bad(body: Vec<u8>) -> Response<Page> {
    let mut answer = Response::new(Page::Whole(Full::new(Bytes::from(body))));
    *answer.status_mut() = StatusCode::BAD_REQUEST;
    answer.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
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

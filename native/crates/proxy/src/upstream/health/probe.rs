//! One question to one endpoint.

use super::{
    super::{
        address::Address,
        connect::{Limit, Secure, Socket, connect},
        endpoint::Endpoint,
    },
    Question,
};
use crate::headers::{GRPC_MESSAGE, grpc_status};
use bytes::Bytes;
use h2::{RecvStream, client::SendRequest};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use infermesh_transport::tls::{HTTP1, HTTP2};
use infermesh_wire::{
    framing::{PREFIX, decode_message, frame},
    proto::health::{HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus},
};
use prost::Message;
use std::{fmt::Display, sync::Arc, time::Duration};
use tokio::io::{AsyncRead, AsyncWrite};

const CHECK: &str = "/grpc.health.v1.Health/Check";

/// gRPC's UNIMPLEMENTED.
const UNIMPLEMENTED: u16 = 12;

/// Of an answer; those that there are have some ten bytes.
const MAX_ANSWER: usize = 4 << 10;

pub struct Probe {
    address: Address,
    authority: String,
    tls: Option<Arc<Secure>>,
    connect_timeout: Duration,
    question: Question,
    /// A connection that has answered before.
    kept: Option<SendRequest<Bytes>>,
}

impl Probe {
    pub fn new(endpoint: &Endpoint, authority: String, question: Question) -> Self {
        let (tls, connect_timeout) = endpoint.access();
        Self { address: endpoint.address.clone(), authority, tls, connect_timeout, question, kept: None }
    }

    /// Fails with why the endpoint is not well.
    pub async fn ask(&mut self) -> Result<(), String> {
        match &self.question {
            Question::Http { over_http2: false, path } => self.over_http1(path).await,
            Question::Http { path, .. } => {
                let head = self.head("GET", path)?;
                let (head, _) = self.over_http2(head, Bytes::new()).await?;
                is_ok(head.status())
            }
            Question::Grpc { service } => {
                let mut head = self.head("POST", CHECK)?;
                let grpc = HeaderValue::from_static("application/grpc");
                head.headers_mut().insert(header::CONTENT_TYPE, grpc);
                head.headers_mut().insert(header::TE, HeaderValue::from_static("trailers"));
                let message = frame(&HealthCheckRequest { service: service.clone() });
                let (head, body) = self.over_http2(head, message).await?;
                serves(&head, body).await
            }
        }
    }

    fn head(&self, method: &str, path: &str) -> Result<Request<()>, String> {
        let uri = format!("http://{}{path}", self.authority);
        Request::builder().method(method).uri(uri).body(()).map_err(|error| error.to_string())
    }

    /// Over the connection that is kept, or over a new one if that has ended.
    async fn over_http2(
        &mut self,
        head: Request<()>,
        message: Bytes,
    ) -> Result<(Response<()>, RecvStream), String> {
        if let Some(sender) = self.kept.take()
            && let Ok(answer) = send(sender.clone(), head.clone(), message.clone()).await
        {
            self.kept = Some(sender);
            return Ok(answer);
        }
        let sender = match self.connect(HTTP2).await? {
            Socket::Tcp(io) => speak_http2(io).await,
            Socket::Tls(io) => speak_http2(*io).await,
            Socket::Unix(io) => speak_http2(io).await,
        };
        let sender = sender.map_err(|error| format!("HTTP/2 cannot be agreed on: {error}"))?;
        let answer = send(sender.clone(), head, message).await.map_err(unanswered)?;
        self.kept = Some(sender);
        Ok(answer)
    }

    async fn over_http1(&self, path: &str) -> Result<(), String> {
        let mut head = self.head("GET", path)?;
        if let Ok(host) = HeaderValue::from_str(&self.authority) {
            head.headers_mut().insert(header::HOST, host);
        }
        head.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        *head.uri_mut() = path.parse().map_err(|error| format!("'{path}' is no path: {error}"))?;
        let status = match self.connect(HTTP1).await? {
            Socket::Tcp(io) => speak_http1(io, head).await,
            Socket::Tls(io) => speak_http1(io, head).await,
            Socket::Unix(io) => speak_http1(io, head).await,
        };
        is_ok(status.map_err(unanswered)?)
    }

    async fn connect(&self, protocol: &'static [u8]) -> Result<Socket, String> {
        connect(&self.address, self.tls.as_deref(), protocol, Limit::from_now(self.connect_timeout)).await
    }
}

fn unanswered(error: impl Display) -> String {
    format!("it does not answer: {error}")
}

fn is_ok(status: StatusCode) -> Result<(), String> {
    if status == StatusCode::OK { Ok(()) } else { Err(format!("it answers {status}, where 200 is expected")) }
}

async fn speak_http2<T>(io: T) -> Result<SendRequest<Bytes>, h2::Error>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = h2::client::Builder::new();
    let (sender, connection) = builder.initial_max_send_streams(0).handshake(io).await?;
    // It ends with the last sender.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

async fn send(
    sender: SendRequest<Bytes>,
    head: Request<()>,
    message: Bytes,
) -> Result<(Response<()>, RecvStream), h2::Error> {
    let ends = message.is_empty();
    let (response, mut stream) = sender.ready().await?.send_request(head, ends)?;
    if !ends {
        stream.send_data(message, true)?;
    }
    let (head, body) = response.await?.into_parts();
    Ok((Response::from_parts(head, ()), body))
}

async fn speak_http1<T>(io: T, head: Request<()>) -> Result<StatusCode, hyper::Error>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await?;
    let moving = tokio::spawn(async move { drop(connection.await) });
    let answer = sender.send_request(head.map(|()| Empty::<Bytes>::new())).await;
    moving.abort();
    Ok(answer?.status())
}

/// Whether gRPC's health service says that it is.
async fn serves(head: &Response<()>, mut body: RecvStream) -> Result<(), String> {
    let mut answer = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.map_err(unanswered)?;
        let _ = body.flow_control().release_capacity(data.len());
        answer.extend_from_slice(&data);
        if answer.len() > MAX_ANSWER {
            return Err(format!("its answer has more than {MAX_ANSWER} bytes and is none about health"));
        }
    }
    let trailers = body.trailers().await.map_err(unanswered)?.unwrap_or_default();
    let said =
        [&trailers, head.headers()].into_iter().find_map(|headers| Some((grpc_status(headers)?, headers)));
    match said {
        None => Err(format!("it answers with HTTP {} and no gRPC status", head.status().as_u16())),
        Some((0, _)) => state(&answer),
        Some((UNIMPLEMENTED, _)) => Err("it has no grpc.health.v1.Health".to_owned()),
        Some((code, headers)) => Err(format!("its health service fails with {code}: {}", message(headers))),
    }
}

fn state(answer: &[u8]) -> Result<(), String> {
    let message = answer.get(PREFIX..).and_then(|message| HealthCheckResponse::decode(message).ok());
    match message.map(|message| message.status()) {
        Some(ServingStatus::Serving) => Ok(()),
        Some(status) => Err(format!("it says {}", status.as_str_name())),
        None => Err("its answer is none about health".to_owned()),
    }
}

fn message(headers: &HeaderMap) -> String {
    decode_message(headers.get(GRPC_MESSAGE).map_or(&b""[..], HeaderValue::as_bytes))
}

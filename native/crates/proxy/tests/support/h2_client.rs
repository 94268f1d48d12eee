//! A client that speaks HTTP/2.

use crate::h2_upstream::{receive, send};
use bytes::Bytes;
use h2::{
    RecvStream, SendStream,
    client::{Builder, ResponseFuture, SendRequest},
};
use http::{HeaderMap, Request, response::Parts};
use tokio::{net::TcpStream, task::JoinHandle};

pub const PATH: &str = "/inference.GRPCInferenceService/ModelInfer";

/// Its connection lives for as long as this does.
pub struct Client {
    sender: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    pub head: Parts,
    pub body: Bytes,
    pub trailers: Option<HeaderMap>,
}

impl Answer {
    pub fn http_status(&self) -> u16 {
        self.head.status.as_u16()
    }

    fn said(&self, name: &str) -> Option<&str> {
        let value = self.trailers.as_ref().and_then(|trailers| trailers.get(name));
        value.or_else(|| self.head.headers.get(name))?.to_str().ok()
    }

    /// `grpc-status`, wherever it is.
    pub fn code(&self) -> u16 {
        self.said("grpc-status").expect("there is no grpc-status").parse().unwrap()
    }

    /// `grpc-message`, wherever it is.
    pub fn message(&self) -> String {
        self.said("grpc-message").unwrap_or_default().to_owned()
    }

    /// Fails unless it is a good answer of gRPC; its message.
    pub fn ok(&self) -> &[u8] {
        assert_eq!((self.http_status(), self.code()), (200, 0), "{self:?}");
        &self.body
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(self.ok()).unwrap()
    }
}

impl Client {
    pub async fn connect(address: &str) -> Self {
        Self::with(address, &Builder::new()).await
    }

    pub async fn with(address: &str, builder: &Builder) -> Self {
        let socket = TcpStream::connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let (sender, connection) = builder.handshake(socket).await.unwrap();
        Self { sender, connection: tokio::spawn(connection) }
    }

    /// Begins a request; its body is sent through what is returned.
    pub async fn begin(&self, head: Request<()>) -> (SendStream<Bytes>, ResponseFuture) {
        let (response, stream) =
            self.sender.clone().ready().await.unwrap().send_request(head, false).unwrap();
        (stream, response)
    }

    /// One request, one answer.
    pub async fn exchange(&self, head: Request<()>, body: impl Into<Bytes>) -> Result<Answer, h2::Error> {
        let (response, mut stream) = self.sender.clone().ready().await?.send_request(head, false)?;
        let body = body.into();
        // An upstream that answers early does not read all of it.
        let sending = async {
            if send(&mut stream, body).await {
                let _ = stream.send_data(Bytes::new(), true);
            }
        };
        tokio::pin!(sending);
        let answering = answer(response);
        tokio::pin!(answering);
        let mut sent = false;
        loop {
            tokio::select! {
                biased;
                () = &mut sending, if !sent => sent = true,
                answer = &mut answering => return answer,
            }
        }
    }

    /// A unary call of gRPC.
    pub async fn call(&self, message: impl Into<Bytes>) -> Answer {
        self.exchange(grpc(PATH), message).await.unwrap()
    }

    /// Waits for the connection's end.
    pub async fn closed(self) -> Result<(), h2::Error> {
        let Self { sender, connection } = self;
        drop(sender);
        connection.await.unwrap()
    }
}

pub async fn answer(response: ResponseFuture) -> Result<Answer, h2::Error> {
    let (head, mut body) = response.await?.into_parts();
    let (body, trailers) = receive(&mut body).await?;
    Ok(Answer { head, body, trailers })
}

/// The next piece of an answer, as text; its window is given back.
pub async fn next(body: &mut RecvStream) -> String {
    let data = body.data().await.expect("the answer has ended").unwrap();
    body.flow_control().release_capacity(data.len()).unwrap();
    String::from_utf8(data.to_vec()).unwrap()
}

/// The head of a call of gRPC.
pub fn grpc(path: &str) -> Request<()> {
    Request::post(format!("http://shop.local{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap()
}

/// With one more header.
pub fn with(mut head: Request<()>, name: &'static str, value: &str) -> Request<()> {
    head.headers_mut().append(name, value.parse().unwrap());
    head
}

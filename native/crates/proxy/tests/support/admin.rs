//! A client of the admin endpoint, and of any other that answers HTTP/1.1.

use bytes::Bytes;
use http::{Request, Response, StatusCode, request::Builder};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http1::handshake};
use hyper_util::rt::TokioIo;
use infermesh_proxy::Proxy;
use serde_json::Value;
use tokio::net::TcpStream;

/// Opens the admin endpoint of a proxy; its address.
pub fn admin(proxy: &Proxy) -> String {
    proxy.listen_admin("", 0).unwrap().to_string()
}

/// A head for `send`.
pub fn request(method: &str, path: &str) -> Builder {
    Request::builder().method(method).uri(path).header("host", "localhost")
}

/// Sends one request on a connection of its own, and waits for the head of its answer.
pub async fn send(address: &str, head: Builder, body: impl Into<Bytes>) -> Response<Incoming> {
    let socket = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = handshake(TokioIo::new(socket)).await.unwrap();
    tokio::spawn(connection);
    sender.send_request(head.body(Full::new(body.into())).unwrap()).await.unwrap()
}

pub async fn text(response: Response<Incoming>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

/// The answer to GET, which has to be a good one.
pub async fn get(address: &str, path: &str) -> String {
    let response = send(address, request("GET", path), "").await;
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    text(response).await
}

pub async fn json(address: &str, path: &str) -> Value {
    serde_json::from_str(&get(address, path).await).unwrap()
}

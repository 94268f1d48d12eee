//! HTTP/1.1 as it is on the wire, on both sides.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A connection and what has been read of it.
pub struct Wire(BufStream<TcpStream>);

/// What came: a head and, where it says so, a body.
#[derive(Debug, Default, Clone)]
pub struct Message {
    pub first: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
}

impl Message {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &value[..])
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Wire {
    pub async fn connect(address: &str) -> Self {
        Self(BufStream::new(TcpStream::connect(address).await.unwrap()))
    }

    /// Nobody may be there any more to read it.
    pub async fn write(&mut self, data: impl AsRef<[u8]>) {
        if self.0.write_all(data.as_ref()).await.is_ok() {
            let _ = self.0.flush().await;
        }
    }

    /// `None` if the connection ends before.
    pub async fn try_read(&mut self, length: usize) -> Option<Vec<u8>> {
        let mut data = vec![0; length];
        self.0.read_exact(&mut data).await.is_ok().then_some(data)
    }

    pub async fn read_exact(&mut self, length: usize) -> Vec<u8> {
        self.try_read(length).await.expect("the connection has ended")
    }

    /// Waits until something has come, and leaves it where it is.
    pub async fn readable(&mut self) -> bool {
        self.0.fill_buf().await.is_ok_and(|come| !come.is_empty())
    }

    /// A whole message; `None` if the connection has ended.
    pub async fn read(&mut self) -> Option<Message> {
        let mut message = self.head().await?;
        if let Some(length) = message.header("content-length") {
            message.body = self.read_exact(length.parse().unwrap()).await;
        } else if message.header("transfer-encoding") == Some("chunked") {
            loop {
                let size = self.line().await.unwrap();
                let chunk = usize::from_str_radix(&size, 16).unwrap();
                if chunk == 0 {
                    message.trailers = self.fields().await;
                    break;
                }
                message.body.extend(self.read_exact(chunk).await);
                assert_eq!(self.line().await.unwrap(), "");
            }
        }
        Some(message)
    }

    /// Up to the empty line.
    pub async fn head(&mut self) -> Option<Message> {
        let first = self.line().await?;
        Some(Message { first, headers: self.fields().await, ..Default::default() })
    }

    /// Whether the other side has ended the connection.
    pub async fn has_ended(&mut self) -> bool {
        self.0.read_u8().await.is_err()
    }

    async fn fields(&mut self) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        while let Some(line) = self.line().await.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').unwrap();
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        fields
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line).await {
            Ok(read) if read > 0 => Some(line.trim_end().to_owned()),
            _ => None,
        }
    }
}

/// An app, of whatever protocol: a script for each of its connections, which gets the connection and its number, counted from 0. Stops when this
/// is dropped.
pub struct App {
    pub address: String,
    accepted: Arc<AtomicUsize>,
    listening: JoinHandle<()>,
}

impl App {
    pub async fn start<F>(script: impl Fn(Wire, usize) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let accepted = Arc::<AtomicUsize>::default();
        let count = accepted.clone();
        let listening = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                socket.set_nodelay(true).unwrap();
                tokio::spawn(script(Wire(BufStream::new(socket)), count.fetch_add(1, Relaxed)));
            }
        });
        Self { address, accepted, listening }
    }

    /// Answers every request with its first line and its body.
    pub async fn echo() -> Self {
        Self::start(|mut wire, _| async move {
            while let Some(request) = wire.read().await {
                let said = format!("{}|{}", request.first, request.text());
                wire.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{said}", said.len())).await;
            }
        })
        .await
    }

    /// Connections so far.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Relaxed)
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

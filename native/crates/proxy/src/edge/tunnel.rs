//! A client and an app that have agreed on another protocol than HTTP: bytes pass both ways.

use crate::{
    body::Tunnel,
    upstream::{listening::Listening, pulse::Heard},
};
use infermesh_transport::{http1::Switched, peer::life::FAREWELL};
use std::{cell::Cell, pin::pin, rc::Rc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy_bidirectional},
    time::{Instant, sleep_until},
};

/// Neither side has said anything for so long. Those who keep such a connection say something every half minute.
const IDLE: Duration = Duration::from_secs(300);

/// Until both sides have ended it, or neither has said anything for `idle`; while the process drains a pause is enough, because
/// nobody can say when it would end by itself.
pub async fn relay<T: AsyncRead + AsyncWrite + Unpin>(
    client: Switched<T>,
    app: Tunnel,
    idle: Option<Duration>,
    drained: impl Future<Output = ()>,
) {
    let ((mut one, of_one), (mut other, of_other)) = (Listening::new(client.io), Listening::new(app.io));
    let passing = async {
        one.write_all(&app.early).await?;
        one.flush().await?;
        other.write_all(&client.early).await?;
        other.flush().await?;
        copy_bidirectional(&mut one, &mut other).await.map(drop)
    };
    // Both ends are dropped, whoever ended it.
    tokio::select! {
        _ = passing => {}
        () = silence([of_one, of_other], idle.unwrap_or(IDLE), drained) => {}
    }
}

async fn silence(heard: [Rc<Cell<Heard>>; 2], idle: Duration, drained: impl Future<Output = ()>) {
    let (mut drained, mut draining) = (pin!(drained), false);
    loop {
        let last = heard.iter().map(|heard| heard.get().last).max();
        let limit = if draining { FAREWELL.min(idle) } else { idle };
        let until = last.unwrap_or_else(Instant::now) + limit;
        if until <= Instant::now() {
            return;
        }
        tokio::select! {
            () = sleep_until(until) => {}
            () = drained.as_mut(), if !draining => draining = true,
        }
    }
}

//! Each backend gives `channel(capacity)`, a sender and a receiver of the same shape; `cases.rs` is compiled once for
//! each.

pub const ONE_RECEIVER: &str = "its channel has one receiver";
pub const NO_RENDEZVOUS: &str = "it has no rendezvous channel";

pub mod tokio_mpsc {
    use tokio::sync::mpsc;

    pub const RENDEZVOUS: bool = false;
    pub const SEVERAL_RECEIVERS: bool = false;

    #[derive(Clone)]
    pub struct Tx(mpsc::Sender<i64>);
    pub struct Rx(mpsc::Receiver<i64>);

    pub fn channel(capacity: usize) -> (Tx, Rx) {
        let (tx, rx) = mpsc::channel(capacity);
        (Tx(tx), Rx(rx))
    }
    impl Tx {
        #[inline]
        pub async fn send(&self, v: i64) -> bool {
            self.0.send(v).await.is_ok()
        }
        #[inline]
        pub fn try_send(&self, v: i64) -> bool {
            self.0.try_send(v).is_ok()
        }
    }
    impl Rx {
        #[inline]
        pub async fn recv(&mut self) -> Option<i64> {
            self.0.recv().await
        }
        #[inline]
        pub fn try_recv(&mut self) -> Option<i64> {
            self.0.try_recv().ok()
        }
        /// Never called: the cases with several receivers are left out.
        pub fn another(&self) -> Rx {
            unreachable!("{}", super::ONE_RECEIVER)
        }
    }

    pub mod cases {
        include!("cases.rs");
    }
}

pub mod flume_mpmc {
    pub const RENDEZVOUS: bool = true;
    pub const SEVERAL_RECEIVERS: bool = true;

    #[derive(Clone)]
    pub struct Tx(flume::Sender<i64>);
    pub struct Rx(flume::Receiver<i64>);

    pub fn channel(capacity: usize) -> (Tx, Rx) {
        let (tx, rx) = flume::bounded(capacity);
        (Tx(tx), Rx(rx))
    }
    impl Tx {
        #[inline]
        pub async fn send(&self, v: i64) -> bool {
            self.0.send_async(v).await.is_ok()
        }
        #[inline]
        pub fn try_send(&self, v: i64) -> bool {
            self.0.try_send(v).is_ok()
        }
    }
    impl Rx {
        #[inline]
        pub async fn recv(&mut self) -> Option<i64> {
            self.0.recv_async().await.ok()
        }
        #[inline]
        pub fn try_recv(&mut self) -> Option<i64> {
            self.0.try_recv().ok()
        }
        pub fn another(&self) -> Rx {
            Rx(self.0.clone())
        }
    }

    pub mod cases {
        include!("cases.rs");
    }
}

pub mod async_mpmc {
    pub const RENDEZVOUS: bool = false;
    pub const SEVERAL_RECEIVERS: bool = true;

    #[derive(Clone)]
    pub struct Tx(async_channel::Sender<i64>);
    pub struct Rx(async_channel::Receiver<i64>);

    pub fn channel(capacity: usize) -> (Tx, Rx) {
        let (tx, rx) = async_channel::bounded(capacity);
        (Tx(tx), Rx(rx))
    }
    impl Tx {
        #[inline]
        pub async fn send(&self, v: i64) -> bool {
            self.0.send(v).await.is_ok()
        }
        #[inline]
        pub fn try_send(&self, v: i64) -> bool {
            self.0.try_send(v).is_ok()
        }
    }
    impl Rx {
        #[inline]
        pub async fn recv(&mut self) -> Option<i64> {
            self.0.recv().await.ok()
        }
        #[inline]
        pub fn try_recv(&mut self) -> Option<i64> {
            self.0.try_recv().ok()
        }
        pub fn another(&self) -> Rx {
            Rx(self.0.clone())
        }
    }

    pub mod cases {
        include!("cases.rs");
    }
}

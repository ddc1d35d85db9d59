//! An echo server as one writes it with tokio, on one thread: echo_tokio PORT.

use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn session(mut client: TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let n = client.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        client.write_all(&buffer[..n]).await?;
    }
}

async fn serve(port: String) -> io::Result<()> {
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("listening");
    loop {
        if let Ok((client, _)) = listener.accept().await {
            tokio::spawn(session(client));
        }
    }
}

fn main() -> io::Result<()> {
    let port = std::env::args().nth(1).unwrap_or_else(|| "0".into());
    tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(serve(port))
}

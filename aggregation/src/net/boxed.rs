//! Futures that are compiled where they are made.

use std::pin::Pin;

/// What an entry point returns in place of being an `async fn`. The code of an `async fn` is compiled
/// again in every crate that awaits it, with all that it awaits itself: a program and a dozen tests
/// of it would each compile most of the federation.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

//! The part of reqwest 0.13's interface that goose 0.19 is written against, without a client behind it.
//!
//! Goose conducts the users of `load-test` and sends nothing: requests go out over the sender of ours, see
//! `load-test/src/engine/closed.rs`. Yet goose cannot be built without reqwest, and with the features that it
//! asks for, reqwest brings a second TLS backend (aws-lc), a second HTTP pool and its own certificate store:
//! half of the size of the binary, for a client that is never used. The workspace puts this crate in its
//! place by `[patch.crates-io]`.
//!
//! A request that goose did try to send would fail with [`Error`], never seem to succeed: there is no value
//! of [`Response`].

use std::fmt;
use std::future::Ready;
use std::time::Duration;

pub use http::{Method, StatusCode, header};
pub use url::Url;

/// There is no client to send with; what every use of this crate ends in.
#[derive(Debug)]
pub struct Error(());

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("this build of goose has no HTTP client")
    }
}

impl std::error::Error for Error {}

impl Error {
    /// Whether the request could not be built: always, see [`RequestBuilder::build`].
    #[must_use]
    pub fn is_builder(&self) -> bool {
        true
    }

    /// Never: nothing is sent.
    #[must_use]
    pub fn is_request(&self) -> bool {
        false
    }

    /// Never: there are no bodies.
    #[must_use]
    pub fn is_body(&self) -> bool {
        false
    }

    /// Never: nothing is decoded.
    #[must_use]
    pub fn is_decode(&self) -> bool {
        false
    }

    /// Never: there are no answers.
    #[must_use]
    pub fn is_status(&self) -> bool {
        false
    }

    /// Never: nobody redirects.
    #[must_use]
    pub fn is_redirect(&self) -> bool {
        false
    }
}

/// What goose hands to every user.
#[derive(Clone, Debug, Default)]
pub struct Client(());

impl Client {
    /// A client that sends nothing.
    #[must_use]
    pub fn new() -> Self {
        Self(())
    }

    /// Takes the settings that goose makes, and forgets them.
    #[must_use]
    pub fn builder() -> ClientBuilder {
        ClientBuilder(())
    }

    /// A request that cannot be built.
    #[must_use]
    pub fn get<U: AsRef<str>>(&self, _: U) -> RequestBuilder {
        RequestBuilder(())
    }

    /// A request that cannot be built.
    #[must_use]
    pub fn post<U: AsRef<str>>(&self, _: U) -> RequestBuilder {
        RequestBuilder(())
    }

    /// A request that cannot be built.
    #[must_use]
    pub fn put<U: AsRef<str>>(&self, _: U) -> RequestBuilder {
        RequestBuilder(())
    }

    /// A request that cannot be built.
    #[must_use]
    pub fn patch<U: AsRef<str>>(&self, _: U) -> RequestBuilder {
        RequestBuilder(())
    }

    /// A request that cannot be built.
    #[must_use]
    pub fn delete<U: AsRef<str>>(&self, _: U) -> RequestBuilder {
        RequestBuilder(())
    }

    /// A request that cannot be built.
    #[must_use]
    pub fn head<U: AsRef<str>>(&self, _: U) -> RequestBuilder {
        RequestBuilder(())
    }

    /// Never called, for there is no [`Request`].
    ///
    /// # Errors
    /// Has no way to succeed.
    pub fn execute(&self, request: Request) -> Ready<Result<Response, Error>> {
        match request {}
    }
}

/// Settings of a client, forgotten.
#[derive(Debug)]
pub struct ClientBuilder(());

impl ClientBuilder {
    /// Forgets the name.
    #[must_use]
    pub fn user_agent<V>(self, _: V) -> Self {
        self
    }

    /// Forgets the timeout.
    #[must_use]
    pub fn timeout(self, _: Duration) -> Self {
        self
    }

    /// Forgets whether bodies may be compressed.
    #[must_use]
    pub fn gzip(self, _: bool) -> Self {
        self
    }

    /// Forgets it: there are no certificates.
    #[must_use]
    pub fn danger_accept_invalid_certs(self, _: bool) -> Self {
        self
    }

    /// The client that sends nothing.
    ///
    /// # Errors
    /// None; goose expects that there might be.
    pub fn build(self) -> Result<Client, Error> {
        Ok(Client::new())
    }
}

/// A body, forgotten.
#[derive(Debug)]
pub struct Body(());

impl Body {
    /// Nothing.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        None
    }
}

impl<T: AsRef<[u8]>> From<T> for Body {
    fn from(_: T) -> Self {
        Self(())
    }
}

/// A request that will not be built.
#[derive(Debug)]
pub struct RequestBuilder(());

impl RequestBuilder {
    /// Forgets the body.
    #[must_use]
    pub fn body<T: Into<Body>>(self, _: T) -> Self {
        self
    }

    /// Forgets the fields.
    #[must_use]
    pub fn form<T: serde::Serialize + ?Sized>(self, _: &T) -> Self {
        self
    }

    /// Forgets the value.
    #[must_use]
    pub fn json<T: serde::Serialize + ?Sized>(self, _: &T) -> Self {
        self
    }

    /// Refuses: goose sends nothing here.
    ///
    /// # Errors
    /// Always.
    pub fn build(self) -> Result<Request, Error> {
        Err(Error(()))
    }
}

/// A request ready to be sent: there is none.
#[derive(Debug)]
pub enum Request {}

impl Request {
    /// Its headers.
    #[must_use]
    pub fn headers(&self) -> &header::HeaderMap {
        match *self {}
    }

    /// Its body.
    #[must_use]
    pub fn body(&self) -> Option<&Body> {
        match *self {}
    }

    /// Its method.
    #[must_use]
    pub fn method(&self) -> &Method {
        match *self {}
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> &Url {
        match *self {}
    }
}

/// An answer: there is none.
#[derive(Debug)]
pub enum Response {}

impl Response {
    /// Its status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match *self {}
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> &Url {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_refused_and_says_so() {
        let refused = Client::new().get("http://127.0.0.1:9/").build();
        assert_eq!(
            refused.map(|_| ()).unwrap_err().to_string(),
            "this build of goose has no HTTP client"
        );
    }
}

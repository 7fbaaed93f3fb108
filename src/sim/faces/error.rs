//! The refusals of the documents: HTTP status, code and text.

use super::json::object;

/// A refusal as the venue words it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// HTTP status, also the `status` of a WebSocket API reply.
    pub status: u16,
    /// The venue's number, negative.
    pub code: i32,
    /// The venue's text.
    pub msg: String,
    /// More, as JSON, under `data`.
    pub data: Option<String>,
    /// Seconds to wait, sent as `Retry-After`.
    pub retry_after_s: Option<i64>,
}

impl ApiError {
    /// A refusal with HTTP status 400.
    #[must_use]
    pub fn new(code: i32, msg: impl Into<String>) -> ApiError {
        ApiError { status: 400, code, msg: msg.into(), data: None, retry_after_s: None }
    }

    /// The same with another HTTP status.
    #[must_use]
    pub fn status(mut self, status: u16) -> ApiError {
        self.status = status;
        self
    }

    /// The body of the HTTP reply.
    #[must_use]
    pub fn body(&self) -> String {
        let body = object().int("code", self.code).text("msg", &self.msg);
        match &self.data {
            Some(data) => body.raw("data", data).end(),
            None => body.end(),
        }
    }

    /// A required parameter is not there or cannot be read.
    #[must_use]
    pub fn mandatory(name: &str) -> ApiError {
        let msg =
            format!("Mandatory parameter '{name}' was not sent, was empty/null, or malformed.");
        ApiError::new(-1102, msg)
    }

    /// A parameter that this order type does not take.
    #[must_use]
    pub fn superfluous(name: &str) -> ApiError {
        ApiError::new(-1106, format!("Parameter '{name}' sent when not required."))
    }

    /// A parameter with characters outside its pattern.
    #[must_use]
    pub fn illegal_characters(name: &str, range: &str) -> ApiError {
        let msg =
            format!("Illegal characters found in parameter '{name}'; legal range is '{range}'.");
        ApiError::new(-1100, msg)
    }

    /// A parameter outside its allowed values.
    #[must_use]
    pub fn invalid_value(name: &str) -> ApiError {
        ApiError::new(-1130, format!("Data sent for parameter '{name}' is not valid."))
    }

    /// No such symbol here.
    #[must_use]
    pub fn invalid_symbol() -> ApiError {
        ApiError::new(-1121, "Invalid symbol.")
    }

    /// The signature does not fit the bytes received.
    #[must_use]
    pub fn bad_signature() -> ApiError {
        ApiError::new(-1022, "Signature for this request is not valid.")
    }

    /// No key, or none that could be one.
    #[must_use]
    pub fn bad_key_format() -> ApiError {
        ApiError::new(-2014, "API-key format invalid.").status(401)
    }

    /// A key nobody has.
    #[must_use]
    pub fn unknown_key() -> ApiError {
        ApiError::new(-2015, "Invalid API-key, IP, or permissions for action.").status(401)
    }

    /// No open order under that id.
    #[must_use]
    pub fn unknown_order() -> ApiError {
        ApiError::new(-2011, "Unknown order sent.")
    }

    /// No order under that id at all.
    #[must_use]
    pub fn no_such_order() -> ApiError {
        ApiError::new(-2013, "Order does not exist.")
    }
}

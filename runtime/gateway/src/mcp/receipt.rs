//! Receipts as resources: `tollgate://receipt/CALL`, the proof that a call's end is in the ledger.

use rmcp::model::{ContentBlock, ErrorData, ReadResourceResult, Resource, ResourceContents, ResourceTemplate};
use tollgate_plain::one_line;

use crate::protocol::Failure;
use crate::reply::{RECEIPT_TYPE, UNKNOWN_CALL};

/// The scheme and the place of receipts.
const URI: &str = "tollgate://receipt/";

/// What is said of a resource that is no receipt.
pub(super) const NONE: &str = "no such resource: there are receipts alone, `tollgate://receipt/CALL`";

/// The call whose receipt a URI names.
pub(super) fn call_of(uri: &str) -> Option<&str> {
    uri.strip_prefix(URI)
}

/// What links a result to its receipt.
pub(super) fn link(call: &str) -> ContentBlock {
    let resource = Resource::new(format!("{URI}{call}"), "receipt").with_title(TITLE).with_mime_type(RECEIPT_TYPE);
    ContentBlock::ResourceLink(resource)
}

pub(super) fn template() -> ResourceTemplate {
    ResourceTemplate::new(format!("{URI}{{call}}"), "receipt")
        .with_title(TITLE)
        .with_description(DESCRIPTION)
        .with_mime_type(RECEIPT_TYPE)
}

pub(super) fn read(uri: String, text: String) -> ReadResourceResult {
    ReadResourceResult::new(vec![ResourceContents::text(text, uri).with_mime_type(RECEIPT_TYPE)])
}

pub(super) fn refused(failure: &Failure) -> ErrorData {
    let message = one_line(&failure.message);
    match failure.kind.as_str() {
        UNKNOWN_CALL => ErrorData::resource_not_found(message, None),
        "unauthenticated" => ErrorData::invalid_request(message, None),
        _other => ErrorData::internal_error(message, None),
    }
}

const TITLE: &str = "Receipt of the call";

const DESCRIPTION: &str = "The proof that a call and how it ended are in the ledger, by the call's id (`dev.tollgate/call` of its result). \
                           `tollgate audit verify-receipt` and `tollgate-verify` check it offline.";

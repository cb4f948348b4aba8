//! Grants for the network, as they are recorded and handed on.

use tollgate_network::{HttpGrant, HttpRequest, HttpTexts, NetworkGrants, Scheme, check_http};

/// Grants that are read are written in one text, from which they are read again. A credential goes to one host over TLS. What is
/// allowed of a request to each of the origins is sent as it was asked.
pub fn network_grants(bytes: &[u8]) {
    let Ok(grants) = serde_json::from_slice::<NetworkGrants>(bytes) else { return };
    let text = serde_json::to_string(&grants).expect("grants have a text");
    let again: NetworkGrants = serde_json::from_str(&text).expect("it is read");
    assert_eq!(again, grants, "{text}");
    assert_eq!(serde_json::to_string(&again).expect("grants have a text"), text);
    for grant in grants.http() {
        credential(grant);
        asked(&grants, grant);
    }
    for grant in grants.tcp() {
        assert_eq!(grants.tcp_to(grant.endpoint()), Some(grant));
    }
}

fn credential(grant: &HttpGrant) {
    if grant.credential().is_some() {
        assert!(grant.key().scheme() == Scheme::Https && grant.key().hosts().suffix().is_none(), "{}", grant.key());
    }
}

/// Asks for each granted path as if its pattern were a path.
fn asked(grants: &NetworkGrants, grant: &HttpGrant) {
    let key = grant.key().to_string();
    let (scheme, hosts) = key.split_once("://").expect("a scheme");
    let authority = hosts.replace("**.", "x.y.").replace("*.", "x.");
    for (method, path) in
        grant.methods().iter().flat_map(|method| grant.paths().paths().map(move |path| (method, path)))
    {
        let request = HttpRequest::new(&HttpTexts {
            method: method.as_str().as_bytes(),
            scheme: scheme.as_bytes(),
            authority: authority.as_bytes(),
            target: path.as_bytes(),
            fields: &[],
        });
        let Ok(allowed) = check_http(grants, &request) else { continue };
        assert_eq!((allowed.method(), allowed.target().as_str()), (method, path));
        assert_eq!(allowed.host_field(), authority);
        let decided = allowed.grant();
        assert!(decided.key().hosts().suffix().is_none() || grant.key().hosts().suffix().is_some(), "{key}");
        assert!(!decided.paths().exclude(allowed.target()), "{path}");
    }
}

use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const TEXT_OF_ONE: &str = "accounts: [{name: a, tenants: [t], roles: [read], secrets: [\"blake3:0101010101010101010101010101010101010101010101010101010101010101\"]}]";

fn of(variables: &[(&str, &str)]) -> Result<Option<Credentials>> {
    from_lookup(&|name| variables.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned()))
}

#[test]
fn one_place_or_none() {
    assert!(of(&[]).unwrap().is_none());
    let arn = "arn:aws:secretsmanager:eu-west-1:1:secret:lamella";
    for (name, value, told) in [
        (TEXT, TEXT_OF_ONE, "variable LAMELLA_CREDENTIALS"),
        (FILE, "/etc/x", "file /etc/x"),
        (SECRET, arn, arn),
        (SECRET, "arn:aws:ssm:eu-west-1:1:parameter/lamella", "arn:aws:ssm:eu-west-1:1:parameter/lamella"),
    ] {
        let credentials = of(&[(name, value)]).unwrap().unwrap();
        assert_eq!(format!("{credentials:?}"), told);
    }
    assert!(of(&[(TEXT, TEXT_OF_ONE), (FILE, "/etc/x")]).is_err());
    assert!(of(&[(SECRET, "lamella")]).is_err());
}

#[tokio::test]
async fn a_file_is_read_each_time() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let credentials = Credentials::File(file.path().to_owned());
    assert!(credentials.read().await.is_err(), "an empty file is no list of nobody");
    std::fs::write(file.path(), TEXT_OF_ONE).unwrap();
    assert_eq!(credentials.read().await.unwrap().len(), 1);
}

/// Answers one request with a body, and returns the request.
async fn served(listener: TcpListener, body: String) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = vec![0; 4096];
    let read = stream.read(&mut request).await.unwrap();
    stream.write_all(format!("HTTP/1.1 200 OK\r\n\r\n{body}").as_bytes()).await.unwrap();
    String::from_utf8(request[..read].to_vec()).unwrap()
}

#[tokio::test]
async fn the_extension_is_asked_in_its_words() {
    let quoted = serde_json::to_string(TEXT_OF_ONE).unwrap();
    let cases = [
        (
            "arn:aws:secretsmanager:eu-west-1:1:secret:a/b",
            format!("{{\"Name\": \"a/b\", \"SecretString\": {quoted}}}"),
            "GET /secretsmanager/get?secretId=arn%3Aaws%3Asecretsmanager%3Aeu-west-1%3A1%3Asecret%3Aa%2Fb HTTP/1.0\r\n",
        ),
        (
            "arn:aws:ssm:eu-west-1:1:parameter/a",
            format!("{{\"Parameter\": {{\"Value\": {quoted}}}}}"),
            "GET /systemsmanager/parameters/get?name=arn%3Aaws%3Assm%3Aeu-west-1%3A1%3Aparameter%2Fa&withDecryption=true HTTP/1.0\r\n",
        ),
    ];
    for (arn, body, asked) in cases {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let credentials = of(&[(SECRET, arn), ("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", &port), ("AWS_SESSION_TOKEN", "s")]);
        let credentials = credentials.unwrap().unwrap();
        assert!(!credentials.is_there_at_start());
        let (accounts, request) = tokio::join!(credentials.read(), served(listener, body));
        assert_eq!(accounts.unwrap().len(), 1, "{arn}");
        assert!(request.starts_with(asked), "{request}");
        assert!(request.contains("\r\nX-Aws-Parameters-Secrets-Token: s\r\n"), "{request}");
    }
}

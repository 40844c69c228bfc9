//! The configuration of AWS for a stand-in on this machine, which speaks plain HTTP and
//! takes any credentials. A program on AWS has `aws_config::load_from_env()` here.

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_types::SdkConfig;
use aws_types::region::Region;

/// The URL of a queue at a host, and how to speak to it.
pub(crate) fn queue(host: &str, name: &str) -> (String, SdkConfig) {
    let credentials = Credentials::new("key", "secret", None, None, "example");
    let aws = SdkConfig::builder()
        .region(Region::new("eu-central-1"))
        .endpoint_url(format!("http://{host}"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    (format!("http://{host}/000000000000/{name}"), aws.build())
}

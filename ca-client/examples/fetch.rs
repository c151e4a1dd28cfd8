//! Gets one SVID and prints who we are:
//! `cargo run -p ca-client --example fetch -- HOST:PORT ROOT-CERT.pem TOKEN-FILE`.

use std::error::Error;
use std::io::Write as _;

use ca_client::CaClient;
use ca_client::Credential;
use ca_client::Trust;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(address), Some(roots), Some(token)) = (args.next(), args.next(), args.next()) else {
        return Err("usage: fetch HOST:PORT ROOT-CERT.pem TOKEN-FILE".into());
    };
    let client = CaClient::builder(address.parse()?)
        .trust(Trust::roots_pem(&std::fs::read(roots)?)?)
        .credential(Credential::token_file(token))
        .build()?;
    let svid = client.fetch().await?;
    let until = humantime::format_rfc3339_seconds(svid.not_after());
    writeln!(
        std::io::stdout().lock(),
        "we are {} until {until}",
        svid.spiffe_id()
    )?;
    Ok(())
}

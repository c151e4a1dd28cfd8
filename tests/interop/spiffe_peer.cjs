// A workload with @grpc/grpc-js and node's own TLS; speaks as tests/src/bin/spiffe_peer.rs does.
'use strict';
const crypto = require('node:crypto');
const readline = require('node:readline');
const tls = require('node:tls');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const [socket, expected, proto] = process.argv.slice(2);
const LIMIT = 20_000;
const { SpiffeWorkloadAPI } = grpc.loadPackageDefinition(loader.loadSync(proto, { keepCase: true }));
const client = new SpiffeWorkloadAPI(`unix://${socket}`, grpc.credentials.createInsecure());
const metadata = new grpc.Metadata();
metadata.set('workload.spiffe.io', 'true');

function say(what) {
  console.log(JSON.stringify(what));
}

// Certificates that stand one after the other, by the lengths that DER begins with.
function pem(der) {
  let text = '';
  while (der.length > 0) {
    const octets = der[1] & 0x7f;
    const length = 2 + octets + der.readUIntBE(2, octets);
    text += new crypto.X509Certificate(der.subarray(0, length)).toString();
    der = der.subarray(length);
  }
  return text;
}

// What there is at this moment, in node's words.
function material(svid) {
  const key = crypto.createPrivateKey({ key: svid.x509_svid_key, format: 'der', type: 'pkcs8' });
  return {
    cert: pem(svid.x509_svid),
    key: key.export({ format: 'pem', type: 'pkcs8' }),
    ca: pem(svid.bundle),
    minVersion: 'TLSv1.2',
  };
}

// Why a certificate is of nobody who may come in, if so; without a wildcard, a list or a second name.
function objection(certificate) {
  const names = certificate.subjectaltname ?? '';
  return expected.split(',').some((id) => names === `URI:${id}`) ? undefined : new Error(`unexpected ${names}`);
}

function greet(connection) {
  const certificate = connection.getPeerCertificate();
  const why = objection(certificate);
  if (why) {
    console.error('refused', why.message);
    connection.destroy();
    return;
  }
  // The other side closes when it has read it.
  connection.resume();
  connection.write(`${certificate.subjectaltname.replace(/^URI:/, '')}\n`);
}

function connect(held, port) {
  return new Promise((resolve) => {
    const refused = (why) => resolve({ refused: why.message });
    const connection = tls.connect({
      ...held,
      host: '127.0.0.1',
      port,
      checkServerIdentity: (_host, certificate) => objection(certificate),
    });
    let seen = '';
    let leaf;
    connection.setTimeout(LIMIT, () => connection.destroy(new Error('nothing was heard')));
    connection.setEncoding('utf8');
    connection.on('secureConnect', () => {
      leaf = connection.getPeerCertificate().raw.toString('hex');
    });
    connection.on('data', (text) => {
      seen += text;
      if (seen.endsWith('\n')) {
        resolve({ leaf, seen: seen.trim() });
        connection.end();
      }
    });
    connection.on('error', refused);
    connection.on('close', () => refused(new Error('closed without a greeting')));
  });
}

async function serve(first) {
  const server = tls.createServer({ ...first, requestCert: true, rejectUnauthorized: true }, greet);
  server.on('tlsClientError', (why) => console.error('refused', why.message));
  server.on('secureConnection', (connection) => connection.on('error', (why) => console.error('broken', why.message)));
  await new Promise((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  say({ port: server.address().port });
  return server;
}

let held;
let server;
const stream = client.FetchX509SVID({}, metadata);
stream.on('error', (error) => {
  console.error(error.message);
  process.exit(1);
});
stream.on('data', async (message) => {
  held = material(message.svids[0]);
  server?.setSecureContext(held);
  if (server === undefined) {
    server = null;
    server = await serve(held);
    // There may have been another since.
    server.setSecureContext(held);
    for await (const port of readline.createInterface({ input: process.stdin })) {
      say(await connect(held, Number(port)));
    }
    process.exit(0);
  }
});

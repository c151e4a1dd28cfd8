// Takes some messages of FetchX509SVID over @grpc/grpc-js, and judges each by node's own X509Certificate.
'use strict';
const crypto = require('node:crypto');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const [endpoint, proto, count] = process.argv.slice(2);
const { SpiffeWorkloadAPI } = grpc.loadPackageDefinition(loader.loadSync(proto, { keepCase: true }));
const client = new SpiffeWorkloadAPI(endpoint, grpc.credentials.createInsecure());
const metadata = new grpc.Metadata();
metadata.set('workload.spiffe.io', 'true');

// Certificates that stand one after the other, by the lengths that DER begins with.
function split(der) {
  const certificates = [];
  while (der.length > 0) {
    const octets = der[1] & 0x7f;
    const length = 2 + octets + der.readUIntBE(2, octets);
    certificates.push(new crypto.X509Certificate(der.subarray(0, length)));
    der = der.subarray(length);
  }
  return certificates;
}

let left = Number(count);
const stream = client.FetchX509SVID({}, metadata);
stream.on('error', (error) => {
  if (left > 0) {
    console.error(error.message);
    process.exit(1);
  }
});
stream.on('data', (message) => {
  const svid = message.svids[0];
  const chain = [...split(svid.x509_svid), ...split(svid.bundle)];
  const key = crypto.createPrivateKey({ key: svid.x509_svid_key, format: 'der', type: 'pkcs8' });
  const links = chain.slice(1).map((issuer, at) => chain[at].checkIssued(issuer) && chain[at].verify(issuer.publicKey));
  console.log(JSON.stringify({
    id: svid.spiffe_id,
    serial: chain[0].serialNumber,
    verified: links.every(Boolean),
    key: chain[0].checkPrivateKey(key),
  }));
  left -= 1;
  if (left === 0) {
    stream.cancel();
    client.close();
  }
});

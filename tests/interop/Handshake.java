import java.io.File;
import java.security.KeyStore;
import java.security.cert.X509Certificate;
import java.util.Collections;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

/** Speaks mutual TLS with itself, by the two stores in a directory, and prints whom each side sees. */
class Handshake {
    public static void main(String[] args) throws Exception {
        char[] password = args[1].toCharArray();
        KeyStore keys = KeyStore.getInstance(new File(args[0], "keystore.p12"), password);
        KeyStore roots = KeyStore.getInstance(new File(args[0], "truststore.p12"), password);
        System.out.println("roots " + Collections.list(roots.aliases()).stream().filter(alias -> isRoot(roots, alias)).count());
        KeyManagerFactory keyManagers = KeyManagerFactory.getInstance("PKIX");
        keyManagers.init(keys, password);
        TrustManagerFactory trustManagers = TrustManagerFactory.getInstance("PKIX");
        trustManagers.init(roots);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keyManagers.getKeyManagers(), trustManagers.getTrustManagers(), null);
        try (SSLServerSocket listener = (SSLServerSocket) context.getServerSocketFactory().createServerSocket(0)) {
            listener.setNeedClientAuth(true);
            Thread server = new Thread(() -> meet("server", () -> (SSLSocket) listener.accept()));
            server.start();
            meet("client", () -> (SSLSocket) context.getSocketFactory().createSocket("127.0.0.1", listener.getLocalPort()));
            server.join();
        }
    }

    interface Opening {
        SSLSocket open() throws Exception;
    }

    static void meet(String side, Opening opening) {
        try (SSLSocket socket = opening.open()) {
            socket.startHandshake();
            socket.getOutputStream().write(1);
            socket.getInputStream().read();
            X509Certificate[] chain = (X509Certificate[]) socket.getSession().getPeerCertificates();
            Object name = chain[0].getSubjectAlternativeNames().iterator().next().get(1);
            System.out.println(side + " sees " + name + " by " + chain.length + " certificates");
        } catch (Exception error) {
            throw new IllegalStateException(side, error);
        }
    }

    static boolean isRoot(KeyStore store, String alias) {
        try {
            return store.isCertificateEntry(alias);
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }
}

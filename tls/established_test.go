package tls

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	ctls "crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// records seals records of TLS 1.3 under TLS_AES_128_GCM_SHA256, as a client that does what
// crypto/tls's never would.
type records struct {
	secret []byte
	aead   cipher.AEAD
	iv     []byte
	number uint64
}

// label is HKDF-Expand-Label (RFC 8446, section 7.1).
func label(t *testing.T, secret []byte, name string, length int) []byte {
	info := binary.BigEndian.AppendUint16(nil, uint16(length))
	info = append(info, byte(len("tls13 "+name)))
	info = append(append(info, "tls13 "+name...), 0)
	out, err := hkdf.Expand(sha256.New, secret, string(info), length)
	must(t, err)
	return out
}

func newRecords(t *testing.T, secret []byte) *records {
	block, err := aes.NewCipher(label(t, secret, "key", 16))
	must(t, err)
	aead, err := cipher.NewGCM(block)
	must(t, err)
	return &records{secret: secret, aead: aead, iv: label(t, secret, "iv", 12)}
}

func (r *records) seal(kind byte, content []byte) []byte {
	nonce := bytes.Clone(r.iv)
	for i := range 8 {
		nonce[4+i] ^= byte(r.number >> (56 - 8*i))
	}
	r.number++
	plain := append(bytes.Clone(content), kind)
	header := binary.BigEndian.AppendUint16([]byte{23, 3, 3}, uint16(len(plain)+16))
	return r.aead.Seal(header, nonce, plain, header)
}

// A few KeyUpdates are answered, a flood of them ends the connection.
func TestKeyUpdates(t *testing.T) {
	t.Parallel()
	const handshake, keyUpdate, application = 22, 24, 23
	s := newStore(t, Options{})
	settings := simple("shop")
	s.Update(serverSpec(settings, secretOf("shop", newRoot(t, "servers").host(t, "shop.example.com"))))
	for _, tt := range []struct {
		updates int
		ends    bool
	}{{3, false}, {40, true}} {
		a, b := connect()
		_, _ = a.SetDeadline(time.Now().Add(20*time.Second)), b.SetDeadline(time.Now().Add(20*time.Second))
		served := make(chan error, 1)
		go func() {
			config, err := s.Server(settings, nil)
			if err == nil {
				_, err = io.ReadFull(ctls.Server(a, config), make([]byte, 5))
			}
			a.Close()
			served <- err
		}()
		var log lines
		client := ctls.Client(b, &ctls.Config{InsecureSkipVerify: true, KeyLogWriter: &log})
		must(t, client.Handshake())
		if suite := client.ConnectionState().CipherSuite; suite != ctls.TLS_AES_128_GCM_SHA256 {
			t.Skipf("this processor prefers %s", ctls.CipherSuiteName(suite))
		}
		_, after, _ := strings.Cut(log.String(), "CLIENT_TRAFFIC_SECRET_0 ")
		secret, err := hex.DecodeString(strings.Fields(after)[1])
		must(t, err)
		r := newRecords(t, secret)
		for range tt.updates {
			if _, err := b.Write(r.seal(handshake, []byte{keyUpdate, 0, 0, 1, 0})); err != nil {
				break
			}
			r = newRecords(t, label(t, r.secret, "traffic upd", sha256.Size))
		}
		_, _ = b.Write(r.seal(application, []byte("hello")))
		err = <-served
		if tt.ends != (err != nil) || tt.ends && !strings.Contains(err.Error(), "too many non-advancing records") {
			t.Errorf("after %d updates: %v", tt.updates, err)
		}
		b.Close()
	}
}

// A client that asks to renegotiate is refused.
func TestRenegotiation(t *testing.T) {
	t.Parallel()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	s := newStore(t, Options{})
	settings := simple("shop")
	s.Update(serverSpec(settings, secretOf("shop", newRoot(t, "servers").host(t, "shop.example.com"))))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	served := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			served <- err
			return
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		config, err := s.Server(settings, nil)
		if err == nil {
			_, err = io.Copy(io.Discard, ctls.Server(conn, config))
		}
		served <- err
	}()
	cmd := exec.Command(openssl, "s_client", "-tls1_2", "-connect", l.Addr().String(), "-servername", "shop.example.com")
	in, err := cmd.StdinPipe()
	must(t, err)
	var out lines
	cmd.Stdout, cmd.Stderr = &out, &out
	must(t, cmd.Start())
	eventually(t, "the handshake", func() bool { return strings.Contains(out.String(), "Verify return code") })
	// A line "R" asks to renegotiate.
	_, err = in.Write([]byte("R\n"))
	must(t, err)
	if err := <-served; err == nil || !strings.Contains(err.Error(), "no renegotiation") && !strings.Contains(err.Error(), "unexpected") {
		t.Errorf("renegotiation came to %v", err)
	}
	in.Close()
	_ = cmd.Wait()
}

package http2

import "encoding/binary"

// settingID names a setting (RFC 9113 section 6.5.2, RFC 8441 section 3).
type settingID uint16

const (
	settingHeaderTableSize settingID = 1 + iota
	settingEnablePush
	settingMaxConcurrentStreams
	settingInitialWindowSize
	settingMaxFrameSize
	settingMaxHeaderListSize
)

const (
	settingEnableConnectProtocol settingID = 8
	settingNoRFC7540Priorities   settingID = 9
)

type setting struct {
	id    settingID
	value uint32
}

func appendSettings(dst []byte, settings ...setting) []byte {
	dst = appendFrameHeader(dst, 6*len(settings), frameSettings, 0, 0)
	for _, s := range settings {
		dst = binary.BigEndian.AppendUint16(dst, uint16(s.id))
		dst = binary.BigEndian.AppendUint32(dst, s.value)
	}
	return dst
}

func appendSettingsAck(dst []byte) []byte {
	return appendFrameHeader(dst, 0, frameSettings, flagAck, 0)
}

// peerSettings are what a peer's SETTINGS say, or the defaults.
type peerSettings struct {
	headerTableSize      uint32
	maxConcurrentStreams uint32
	initialWindow        int64
	maxFrame             int
	maxHeaderList        uint32
	connectProtocol      bool
}

func defaultPeerSettings() peerSettings {
	return peerSettings{headerTableSize: 4096, maxConcurrentStreams: 1<<32 - 1, initialWindow: defaultWindow, maxFrame: minFrameSize, maxHeaderList: 1<<32 - 1}
}

var (
	errPushSetting    = protocolError("SETTINGS_ENABLE_PUSH is neither 0 nor 1")
	errPushByServer   = protocolError("a server's SETTINGS_ENABLE_PUSH is 1")
	errFrameSetting   = protocolError("SETTINGS_MAX_FRAME_SIZE out of range")
	errConnectSetting = protocolError("SETTINGS_ENABLE_CONNECT_PROTOCOL is neither 0 nor 1, or taken back")
	errWindowSetting  = &connError{codeFlowControl, "SETTINGS_INITIAL_WINDOW_SIZE over 2^31-1"}
	errSettingsSize   = &connError{codeFrameSize, "SETTINGS of an odd size"}
)

// apply takes the payload of a SETTINGS frame. Settings that are not known are passed over.
func (p *peerSettings) apply(payload []byte, fromServer bool) *connError {
	if len(payload)%6 != 0 {
		return errSettingsSize
	}
	for ; len(payload) > 0; payload = payload[6:] {
		value := binary.BigEndian.Uint32(payload[2:])
		switch settingID(binary.BigEndian.Uint16(payload)) {
		case settingHeaderTableSize:
			p.headerTableSize = value
		case settingEnablePush:
			if value > 1 {
				return errPushSetting
			}
			if value == 1 && fromServer {
				return errPushByServer
			}
		case settingMaxConcurrentStreams:
			p.maxConcurrentStreams = value
		case settingInitialWindowSize:
			if value > maxWindow {
				return errWindowSetting
			}
			p.initialWindow = int64(value)
		case settingMaxFrameSize:
			if value < minFrameSize || value > maxFrameSize {
				return errFrameSetting
			}
			p.maxFrame = int(value)
		case settingMaxHeaderListSize:
			p.maxHeaderList = value
		case settingEnableConnectProtocol:
			if value > 1 || value == 0 && p.connectProtocol {
				return errConnectSetting
			}
			p.connectProtocol = value == 1
		}
	}
	return nil
}

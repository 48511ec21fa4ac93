package main

import (
	"encoding/binary"
	"io"
	"net"
	"time"
)

// createTopic asks for the metadata of a topic that may be created (Kafka's request 3, version 4).
func createTopic(broker, name string) error {
	connection, err := net.DialTimeout("tcp", broker, 5*time.Second)
	if err != nil {
		return err
	}
	defer connection.Close()
	if err := connection.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	text := func(request []byte, text string) []byte {
		return append(binary.BigEndian.AppendUint16(request, uint16(len(text))), text...)
	}
	request := []byte{0, 3, 0, 4, 0, 0, 0, 1}
	request = text(request, "check")
	request = append(request, 0, 0, 0, 1)
	request = text(request, name)
	request = append(request, 1)
	length := binary.BigEndian.AppendUint32(nil, uint32(len(request)))
	if _, err := connection.Write(append(length, request...)); err != nil {
		return err
	}
	if _, err := io.ReadFull(connection, length); err != nil {
		return err
	}
	_, err = io.ReadFull(connection, make([]byte, binary.BigEndian.Uint32(length)))
	return err
}

// Another program that speaks AMQP 1.0, by Qpid JMS: `java -cp JARS Amqp1Peer.java PORT QUEUE VERB...`.
//
// `send` sends an event as a text and one as bytes, and then a map, a stream, an object and a message of nothing. `take` prints
// how JMS sees one event: its class, its type, its group, an attribute, and its text or bytes. Every other verb is a selector
// to take by.

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import javax.jms.BytesMessage;
import javax.jms.Connection;
import javax.jms.JMSException;
import javax.jms.MapMessage;
import javax.jms.Message;
import javax.jms.MessageConsumer;
import javax.jms.MessageProducer;
import javax.jms.Queue;
import javax.jms.Session;
import javax.jms.StreamMessage;
import javax.jms.TextMessage;
import org.apache.qpid.jms.JmsConnectionFactory;

class Amqp1Peer {
    public static void main(String[] arguments) throws Exception {
        JmsConnectionFactory factory = new JmsConnectionFactory("app", "s3cr3t/p@ss:word", "amqp://127.0.0.1:" + arguments[0]);
        try (Connection connection = factory.createConnection()) {
            connection.start();
            Session session = connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
            Queue queue = session.createQueue(arguments[1]);
            for (String verb : Arrays.asList(arguments).subList(2, arguments.length)) {
                switch (verb) {
                    case "send" -> send(session, session.createProducer(queue));
                    case "take" -> take(session.createConsumer(queue));
                    default -> take(session.createConsumer(queue, verb));
                }
            }
        }
    }

    static void send(Session session, MessageProducer producer) throws JMSException {
        TextMessage text = session.createTextMessage("{\"lead\":7}");
        producer.send(event(text, "jms-text"));
        BytesMessage bytes = session.createBytesMessage();
        bytes.writeBytes("{\"lead\":8}".getBytes(StandardCharsets.UTF_8));
        producer.send(event(bytes, "jms-bytes"));
        MapMessage map = session.createMapMessage();
        map.setInt("lead", 9);
        producer.send(event(map, "jms-map"));
        StreamMessage stream = session.createStreamMessage();
        stream.writeInt(10);
        producer.send(event(stream, "jms-stream"));
        producer.send(session.createObjectMessage(new ArrayList<>(List.of("lead"))));
        producer.send(session.createMessage());
    }

    static Message event(Message message, String id) throws JMSException {
        message.setStringProperty("cloudEvents_id", id);
        message.setStringProperty("cloudEvents_source", "java");
        message.setStringProperty("cloudEvents_specversion", "1.0");
        message.setStringProperty("cloudEvents_type", "crm.lead.created");
        message.setStringProperty("cloudEvents_datacontenttype", "application/json");
        message.setIntProperty("cloudEvents_count", 7);
        message.setBooleanProperty("cloudEvents_vip", true);
        return message;
    }

    static void take(MessageConsumer consumer) throws JMSException {
        show(consumer.receive(20_000));
        consumer.close();
    }

    static void show(Message message) throws JMSException {
        String kind = message instanceof TextMessage ? "text" : message instanceof BytesMessage ? "bytes" : "another";
        String body = message instanceof TextMessage text ? text.getText() : "";
        System.out.println(String.join("|", kind, message.getJMSType(), message.getStringProperty("JMSXGroupID"),
            message.getStringProperty("cloudEvents_id"), message.getJMSCorrelationID(), body));
    }
}

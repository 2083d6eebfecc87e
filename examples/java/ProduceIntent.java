import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.net.URI;
import java.nio.ByteBuffer;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.generic.GenericRecordBuilder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Pays with Apache's own clients alone (JDK 17 or later), and prints the partition and the offset of the intent.
 *
 * <pre>
 * cd examples/java
 * mvn -q dependency:copy-dependencies
 * java -cp 'target/dependency/*' ProduceIntent.java
 * </pre>
 */
public class ProduceIntent {
    static final String TOPIC = "payment-intents";

    public static void main(String[] arguments) throws Exception {
        String subject = System.getenv("TWOFOLD_REGISTRY_URL") + "/subjects/" + TOPIC + "-twofold.Transfer";
        JsonNode latest = new ObjectMapper().readTree(URI.create(subject + "/versions/latest").toURL().openStream());
        Schema schema = new Schema.Parser().parse(latest.get("schema").textValue());

        GenericRecord transfer = new GenericRecordBuilder(schema)
            .set("account", "alice")
            .set("idempotency_key", "order-19")
            .set("payee", "shop")
            .set("amount", 20_00L)
            .set("currency", "EUR")
            .build();

        // The key is the account that decides; the default partitioner (murmur2) finds its partition.
        Map<String, Object> settings = Map.of("bootstrap.servers", System.getenv("TWOFOLD_BOOTSTRAP_SERVERS"));
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new ByteArraySerializer())) {
            byte[] value = framed(latest.get("id").intValue(), transfer);
            RecordMetadata place = producer.send(new ProducerRecord<>(TOPIC, "alice", value)).get();
            System.out.println(place.partition() + " " + place.offset());
        }
    }

    /** The registry's wire format: a zero byte, the schema's id in four bytes, the record in Avro binary. */
    static byte[] framed(int schemaId, GenericRecord record) throws Exception {
        var bytes = new ByteArrayOutputStream();
        bytes.write(ByteBuffer.allocate(5).put((byte) 0).putInt(schemaId).array());
        BinaryEncoder encoder = EncoderFactory.get().binaryEncoder(bytes, null);
        new GenericDatumWriter<GenericRecord>(record.getSchema()).write(record, encoder);
        encoder.flush();
        return bytes.toByteArray();
    }
}

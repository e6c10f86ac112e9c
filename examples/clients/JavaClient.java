// A driver for `fake-dashscope check`: Java 17 and newer, with java.net.http alone. Run it with `java JavaClient.java`.
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.time.Duration;
import java.util.regex.Pattern;

public class JavaClient {
    static final String TASK = System.getenv("FAKE_DASHSCOPE_TASK");
    static final boolean AISA = "aisa".equals(System.getenv("FAKE_DASHSCOPE_DIALECT"));
    static final String BASE = System.getenv(AISA ? "AISA_BASE_URL" : "DASHSCOPE_BASE_URL");
    static final String KEY = System.getenv(AISA ? "AISA_API_KEY" : "DASHSCOPE_API_KEY");
    static final HttpClient HTTP = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(10)).build();

    static String field(String json, String name) {
        var found = Pattern.compile("\"" + name + "\": ?\"?([^,\"}]*)").matcher(json);
        return found.find() ? found.group(1) : "";
    }

    static HttpRequest.Builder to(String path) {
        return HttpRequest.newBuilder(URI.create(BASE + path)).timeout(Duration.ofSeconds(15)).header("Authorization", "Bearer " + KEY);
    }

    static long waitMs(HttpResponse<String> answer) {
        return 1000 * Long.parseLong(answer.headers().firstValue("retry-after").filter(s -> s.matches("\\d{1,9}")).orElse("1"));
    }

    static long after(String seconds) {
        return System.currentTimeMillis() + (long) (1000 * Double.parseDouble(seconds));
    }

    static String make() throws Exception {
        var body = TASK.replaceFirst(".*(\"input\": \\{.*)\\}$", "{\"model\": \"" + field(TASK, "model") + "\", $1}");
        var create = to(field(TASK, "path")).header("Content-Type", "application/json").header("X-DashScope-Async", "enable")
            .POST(BodyPublishers.ofString(body.replaceFirst(", \"cancel\".*", "}"))).build();
        HttpResponse<String> made = null;
        long giveUp = after(field(TASK, "submit_timeout_s"));
        while (made == null || made.statusCode() == 429) {
            if (made != null && System.currentTimeMillis() + waitMs(made) > giveUp) return "THROTTLED";
            if (made != null) Thread.sleep(waitMs(made));
            try {
                made = HTTP.send(create, BodyHandlers.ofString());
            } catch (java.io.IOException lost) {
                return "IN_DOUBT";
            }
        }
        if (made.statusCode() != 200) return made.statusCode() / 100 == 4 ? "REFUSED" : "IN_DOUBT";
        var id = field(made.body(), "task_id");
        if (field(TASK, "cancel").equals("PENDING")) HTTP.send(to("/tasks/" + id + "/cancel").POST(BodyPublishers.noBody()).build(), BodyHandlers.ofString());
        var query = to((AISA ? "/services/aigc/tasks/" : "/tasks/") + id).build();
        long until = after(System.getenv("FAKE_DASHSCOPE_DEADLINE_S"));
        while (System.currentTimeMillis() < until) {
            try {
                var answer = HTTP.send(query, BodyHandlers.ofString());
                var status = answer.statusCode() == 200 ? field(answer.body(), "task_status") : "";
                if (status.equals("SUCCEEDED")) {
                    var url = URI.create(field(answer.body(), "video_url"));
                    HTTP.send(HttpRequest.newBuilder(url).build(), BodyHandlers.ofFile(Path.of(System.getenv("FAKE_DASHSCOPE_OUTPUT"))));
                }
                if (status.matches("SUCCEEDED|FAILED|CANCELED")) return status;
                Thread.sleep(Math.max(0, Math.min(waitMs(answer), until - System.currentTimeMillis())));
            } catch (java.io.IOException failed) {
                Thread.sleep(1000);
            }
        }
        return "STILL_GOING";
    }

    public static void main(String[] arguments) throws Exception {
        if (!field(TASK, "endpoint").equals("video") || !field(TASK, "tasks").equals("1")) System.exit(77);
        var outcome = make();
        System.out.println("{\"outcome\": \"" + outcome + "\"}");
        System.exit(outcome.equals("SUCCEEDED") ? 0 : 1);
    }
}

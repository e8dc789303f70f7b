/**
 * Forgets jobs that ended long ago, after a question.
 */
import { question, tell, tellError } from "./asking.ts"
import { prune } from "./client.ts"
import { look } from "./live.ts"
import { counted } from "./shown.ts"

const dayMillis = 86_400_000
const days = [1, 7, 30, 90]

const ask = (many: number): void => {
  question.value = {
    title: `Forget jobs that ended more than ${counted(many, "day")} ago?`,
    text: "Their records, failures and logs are removed. The files stay.",
    yes: "Forget them",
    no: "Keep them",
    act: () =>
      void prune(many * dayMillis).then((removed) => {
        tell(`${counted(removed, "job")} forgotten.`)
        look()
      }, tellError)
  }
}

export const Prune = () => (
  <form
    class="prune"
    onSubmit={(event) => {
      event.preventDefault()
      ask(Number(new FormData(event.currentTarget).get("days")))
    }}
  >
    <label>
      Jobs that ended more than{" "}
      <select name="days">
        {days.map((many) => <option key={many} value={many} selected={many === 30}>{counted(many, "day")}</option>)}
      </select>{" "}
      ago
    </label>
    <button type="submit">Forget…</button>
  </form>
)

/**
 * Shows the payload of a job as it is stored.
 */
import type { Detail } from "./client.ts"
import { count, printableLines } from "./shown.ts"

export const Raw = ({ job }: { readonly job: Detail }) => (
  <section>
    <h2 class="unseen">Payload</h2>
    <p class="nothing">What “{job.name}” was given, in its version {count(job.version)}.</p>
    <pre tabIndex={0}>{printableLines(JSON.stringify(job.payload, null, 2))}</pre>
  </section>
)

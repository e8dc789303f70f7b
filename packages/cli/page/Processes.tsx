/**
 * Shows the live processes that run jobs, each with its pools, threads and workers.
 */
import { Broken, Waiting } from "./Blank.tsx"
import { type Process, processes } from "./client.ts"
import { useLive } from "./live.ts"
import { PoolTable, ThreadTable, WorkerTable } from "./PoolTables.tsx"
import { sampleMillis } from "./rates.ts"
import { to } from "./route.ts"
import { Section } from "./Section.tsx"
import { count, printable } from "./shown.ts"

/** So many of its jobs are named. */
const namedJobs = 8

export const ProcessList = ({ found }: { readonly found: ReadonlyArray<Process> }) => (
  <>
    {found.length === 0 && <p class="nothing">No process runs a job now.</p>}
    {found.map(({ jobs, machine, pools, process, threads, workers }) => (
      <section key={`${process} ${machine}`}>
        <h3 title={printable(`${process} on ${machine}`)}>Process {printable(process.replace(/-.*/, ""))}</h3>
        <p>
          runs {jobs.slice(0, namedJobs).map((id, index) => (
            <span key={id}>
              {index > 0 && ", "}
              <a href={to(["jobs", id, "tasks"])}>{printable(id)}</a>
            </span>
          ))}
          {jobs.length > namedJobs && ` and ${count(jobs.length - namedJobs)} more`}
        </p>
        {pools.length === 0 ? <p class="nothing">It has told nothing yet.</p> : <PoolTable pools={pools} />}
        {threads.length > 0 && <ThreadTable threads={threads} />}
        {workers.length > 0 && <WorkerTable workers={workers} />}
      </section>
    ))}
  </>
)

export const Processes = () => {
  const { error, value } = useLive("processes", processes, sampleMillis)
  return (
    <Section title="Processes that run jobs">
      {value !== undefined
        ? <ProcessList found={value} />
        : error === undefined
        ? <Waiting />
        : <Broken error={error} />}
    </Section>
  )
}

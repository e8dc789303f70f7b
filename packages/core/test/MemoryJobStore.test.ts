import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import { jobStoreContract } from "./JobStoreContract.ts"

jobStoreContract("memory", MemoryJobStore.layer)

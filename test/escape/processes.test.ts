import { describeWay, useStage } from './harness.ts';

const stage = useStage();
describeWay('processes', stage);
